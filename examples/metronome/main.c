/* SPDX-License-Identifier: ISC */
/*
 * metronome serve --socket PATH --token FILE [--mode MODE] [--priority N] [--ticks N]
 *                 [--working-set MIB]
 * metronome ask --socket PATH [--token FILE] <REQUESTS
 * metronome compare [--pressed] PICTURE.svg REPORT ...
 *
 * A service that ticks 1,000 times a second: each tick changes 64 records at random of a
 * table of 64 MiB and stamps itself with a key. Over a Unix socket it tells its statistics,
 * stamps texts with the tick at which it saw them, and confirms its stamps (request.h).
 * Requests bear a token; token and key are secrets of the library.
 *
 * MODE is how it treats its memory (mode.h): plain, onfault, or deterministic, the default,
 * in which no instruction of a tick waits for a page. "compare" sets the reports that serve
 * prints at its end side by side, draws them, and judges them (compare.h).
 *
 * serve ends with 0 on SIGTERM, on SIGINT, or after --ticks; with 1 and one line on
 * standard error where it could not; with 2 where it was called wrongly. It tells systemd
 * when it is ready, and while it ticks: metronome.service.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "compare.h"
#include "options.h"
#include "say.h"
#include "service.h"

static int misused(const char *wrong)
{
    if (wrong != NULL)
        say("usage", wrong);
    (void)fputs("usage: metronome serve --socket PATH --token FILE\n"
                "           [--mode plain|onfault|deterministic] [--priority N]\n"
                "           [--ticks N] [--working-set MIB]\n"
                "       metronome ask --socket PATH [--token FILE] <REQUESTS\n"
                "       metronome compare [--pressed] PICTURE.svg REPORT ...\n",
                stderr);
    return 2;
}

static int run_serve(const struct options *options)
{
    if (options->token == NULL)
        return misused("--token is missing");
    return service_run(options, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_ask(const struct options *options)
{
    unsigned refused = 0;
    const char *wrong = ask(options, stdin, stdout, &refused);
    if (wrong != NULL)
        say(options->socket, wrong);
    return wrong == NULL && refused == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* argv: the arguments behind "compare", two at least. */
static int run_compare(int argc, char **argv)
{
    bool pressed = strcmp(argv[0], "--pressed") == 0;
    argc -= pressed;
    argv += pressed;
    if (argc < 2)
        return misused("compare takes a picture and a report");
    return compare(pressed, argv[0], (size_t)argc - 1, argv + 1) ? EXIT_SUCCESS
                                                                 : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        say("libsodium", "does not start");
        return EXIT_FAILURE;
    }
    if (argc >= 4 && strcmp(argv[1], "compare") == 0)
        return run_compare(argc - 2, argv + 2);
    if (argc < 2 || (strcmp(argv[1], "serve") != 0 && strcmp(argv[1], "ask") != 0))
        return misused(NULL);
    struct options options;
    const char *wrong = options_read(argc, argv, &options);
    if (wrong != NULL)
        return misused(wrong);
    return strcmp(argv[1], "serve") == 0 ? run_serve(&options) : run_ask(&options);
}
