/* SPDX-License-Identifier: ISC */
/*
 * metronome: a service that ticks a thousand times a second over 64 MiB, and must not be
 * late because of a page.
 *
 *      metronome [--mode plain|onfault|deterministic] [--socket PATH] [--seconds N]
 *                [--fifo PRIORITY] [--result FILE]
 *      metronome --compare PLAIN ONFAULT DETERMINISTIC [--picture SVG] [--pressed]
 *
 * Without --seconds it runs until SIGTERM or SIGINT, and then ends with 0. Under systemd it
 * says when it is ready; see metronome.service.
 */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "compare.h"
#include "server.h"

#define FAULTS_SAID 3U

struct options {
    enum ticker_mode mode;
    const char *socket, *result, *picture;
    const char *files[MODES];
    int seconds, priority; /* seconds: -1 for ever */
    bool compare, pressed;
};

static int usage(void)
{
    (void)fputs("usage: metronome [--mode plain|onfault|deterministic] [--socket PATH]\n"
                "                 [--seconds N] [--fifo PRIORITY] [--result FILE]\n"
                "       metronome --compare PLAIN ONFAULT DETERMINISTIC [--picture SVG]\n"
                "                 [--pressed]\n",
                stderr);
    return 2;
}

static bool parse_number(const char *text, int *out)
{
    char *end;
    long number = text == NULL ? -1 : strtol(text, &end, 10);
    if (number < 0 || number > 1000000 || *end != '\0' || end == text)
        return false;
    *out = (int)number;
    return true;
}

static bool parse_mode(const char *text, enum ticker_mode *out)
{
    for (int m = 0; m < MODES && text != NULL; m++)
        if (strcmp(text, ticker_mode_names[m]) == 0) {
            *out = (enum ticker_mode)m;
            return true;
        }
    return false;
}

static bool parse(char **at, struct options *o)
{
    for (; *at != NULL; at++) {
        bool good = true;
        if (strcmp(*at, "--pressed") == 0) {
            o->pressed = true;
        } else if (strcmp(*at, "--compare") == 0) {
            o->compare = true;
            for (int m = 0; m < MODES && good; m++)
                good = (o->files[m] = *++at) != NULL;
        } else if (strcmp(*at, "--mode") == 0) {
            good = parse_mode(*++at, &o->mode);
        } else if (strcmp(*at, "--seconds") == 0) {
            good = parse_number(*++at, &o->seconds);
        } else if (strcmp(*at, "--fifo") == 0) {
            good = parse_number(*++at, &o->priority);
        } else if (strcmp(*at, "--socket") == 0) {
            good = (o->socket = *++at) != NULL;
        } else if (strcmp(*at, "--result") == 0) {
            good = (o->result = *++at) != NULL;
        } else if (strcmp(*at, "--picture") == 0) {
            good = (o->picture = *++at) != NULL;
        } else {
            good = false;
        }
        if (!good)
            return false;
    }
    return true;
}

/* What systemd is told; without it, and elsewhere, nothing. */
static void notify(const char *state)
{
#ifdef HAVE_SYSTEMD
    (void)sd_notify(0, state); /* a service manager that is not there is none to tell */
#else
    (void)state;
#endif
}

/* Where the first faults of the loop were: for the plain mode, a few of many. */
static void say_faults(const securemem_rt_section *section)
{
    char line[256];
    for (size_t i = 0; i < section->recorded && i < FAULTS_SAID; i++) {
        (void)securemem_rt_fault_describe(&section->faults[i], line, sizeof line);
        printf("fault: %s\n", line);
    }
}

static int run(const struct options *o)
{
    static struct ticker ticker;
    char line[512];
    sigset_t stops;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTERM);
    (void)sigaddset(&stops, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stops, NULL);
    int signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    int listener = o->socket == NULL ? -1 : server_open(o->socket);
    if (signals < 0 || (o->socket != NULL && listener < 0))
        return 1;
    ticker.mode = o->mode;
    ticker.priority = o->priority;
    bool good = ticker_start(&ticker);
    if (good) {
        notify("READY=1");
        server_run(listener, signals, o->seconds < 0 ? -1 : o->seconds * 1000, &ticker);
        notify("STOPPING=1");
        ticker_stop(&ticker);
        server_stats(&ticker, line, sizeof line);
        puts(line);
        say_faults(&ticker.section);
        good = !ticker.failed && (o->result == NULL || compare_write(o->result, &ticker));
    }
    if (o->socket != NULL) {
        (void)close(listener);
        (void)unlink(o->socket);
    }
    (void)close(signals);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options = {.seconds = -1};
    if (argc < 1 || !parse(argv + 1, &options))
        return usage();
    if (options.compare)
        return compare(options.files, options.picture, options.pressed) ? 0 : 1;
    if (sodium_init() < 0) {
        (void)fputs("metronome: libsodium found no source of random bytes\n", stderr);
        return 1;
    }
    return run(&options);
}
