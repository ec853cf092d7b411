/* SPDX-License-Identifier: ISC */
/* The command line of a service, or of a client of it. */
#ifndef METRONOME_OPTIONS_H
#define METRONOME_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "mode.h"

struct options {
    const char *socket; /* never NULL */
    const char *token;  /* the file; NULL where a client sends none */
    enum mode mode;
    int priority;       /* 0: none */
    uint64_t ticks;     /* 0: until SIGTERM */
    size_t working_set; /* bytes */
};

/* Reads argv from [2] on. NULL, or what is wrong with it. */
const char *options_read(int argc, char **argv, struct options *options);

#endif
