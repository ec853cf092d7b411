/* SPDX-License-Identifier: ISC */
/* The command line, which is ssh-agent's. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    bool help, kills, c_shell;
    bool foreground;    /* -D, -d */
    const char *socket; /* NULL: one of its own */
    uint64_t lifetime;  /* milliseconds; 0: for ever */
    char **command;     /* ends with NULL; NULL: none */
};

/* NULL, or what is wrong with it. */
const char *options_read(int argc, char **argv, struct options *options);

#endif
