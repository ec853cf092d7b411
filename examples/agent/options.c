/* SPDX-License-Identifier: ISC */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SECOND       1000U /* milliseconds */
#define SECONDS_MOST 0x7fffffffUL

/* Seconds, or as sshd_config(5) writes times: 1h30m. False: it is none. */
static bool read_time(const char *text, uint64_t *milliseconds)
{
    static const char units[] = "sSmMhHdDwW";
    static const unsigned long seconds[] = {1, 60, 3600, 86400, 604800};
    unsigned long total = 0;
    if (*text == '\0')
        return false;
    while (*text != '\0') {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        const char *unit = *end == '\0' ? units : strchr(units, *end);
        if (errno != 0 || unit == NULL)
            return false;
        unsigned long factor = seconds[(unit - units) / 2];
        if (value > (SECONDS_MOST - total) / factor)
            return false;
        total += value * factor;
        text = *end == '\0' ? end : end + 1;
    }
    *milliseconds = (uint64_t)total * SECOND;
    return total > 0;
}

static const char *read_one(int letter, const char *value, struct options *options)
{
    switch (letter) {
    case 'a':
        options->socket = value;
        return NULL;
    case 'c':
        options->c_shell = true;
        return NULL;
    case 's':
        options->c_shell = false;
        return NULL;
    case 'D':
    case 'd':
        options->foreground = true;
        return NULL;
    case 'k':
        options->kills = true;
        return NULL;
    case 't':
        return read_time(value, &options->lifetime) ? NULL : "-t is a time: 3600, 1h, 1d";
    case 'h':
        options->help = true;
        return NULL;
    default:
        return "an option is unknown, or has no value; see --help";
    }
}

/* csh(1) is who uses it where the shell's name says so, as ssh-agent has it. */
static bool is_c_shell(const char *shell)
{
    size_t length = shell == NULL ? 0 : strlen(shell);
    return length > 3 && strcmp(shell + length - 3, "csh") == 0;
}

const char *options_read(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct options){.c_shell = is_c_shell(getenv("SHELL"))};
    opterr = 0; /* what is wrong is said once, by the caller */
    int letter;
    while ((letter = getopt_long(argc, argv, "+a:cDdhkst:", known, NULL)) != -1) {
        const char *wrong = read_one(letter, optarg, options);
        if (wrong != NULL)
            return wrong;
    }
    if (optind < argc)
        options->command = argv + optind;
    if (options->command != NULL && (options->foreground || options->kills))
        return "a command is run by an agent in the background";
    return NULL;
}
