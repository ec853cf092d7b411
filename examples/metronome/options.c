/* SPDX-License-Identifier: ISC */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MEBIBYTE            ((size_t)1 << 20)
#define WORKING_SET_DEFAULT 64U
#define WORKING_SET_MOST    65536U
#define PRIORITY_MOST       99U
#define TICKS_MOST          1000000000U

static bool read_number(const char *text, unsigned long least, unsigned long most,
                        unsigned long *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < least ||
        value > most)
        return false;
    *number = value;
    return true;
}

static bool read_mode(const char *name, enum mode *mode)
{
    for (int i = 0; i < MODES; i++)
        if (strcmp(name, mode_names[i]) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    return false;
}

static const char *read_one(int letter, const char *value, struct options *options)
{
    unsigned long number;
    switch (letter) {
    case 's':
        options->socket = value;
        return NULL;
    case 't':
        options->token = value;
        return NULL;
    case 'm':
        return read_mode(value, &options->mode)
                   ? NULL
                   : "--mode is one of plain, onfault, deterministic";
    case 'p':
        if (!read_number(value, 0, PRIORITY_MOST, &number))
            return "--priority is of SCHED_FIFO, 1 to 99, or 0 for none";
        options->priority = (int)number;
        return NULL;
    case 'n':
        if (!read_number(value, 1, TICKS_MOST, &number))
            return "--ticks is from 1 to 1000000000";
        options->ticks = number;
        return NULL;
    case 'w':
        if (!read_number(value, 1, WORKING_SET_MOST, &number))
            return "--working-set is in MiB, from 1 to 65536";
        options->working_set = number * MEBIBYTE;
        return NULL;
    default:
        return "an option is unknown, or has no value";
    }
}

const char *options_read(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                          {"token", required_argument, NULL, 't'},
                                          {"mode", required_argument, NULL, 'm'},
                                          {"priority", required_argument, NULL, 'p'},
                                          {"ticks", required_argument, NULL, 'n'},
                                          {"working-set", required_argument, NULL, 'w'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct options){.mode = MODE_DETERMINISTIC,
                                .working_set = WORKING_SET_DEFAULT * MEBIBYTE};
    opterr = 0; /* what is wrong is said once, by the caller */
    optind = 2;
    int letter;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        const char *wrong = read_one(letter, optarg, options);
        if (wrong != NULL)
            return wrong;
    }
    if (optind != argc)
        return "there is an argument too many";
    return options->socket == NULL ? "--socket is missing" : NULL;
}
