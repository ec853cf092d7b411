/* SPDX-License-Identifier: ISC */
#include "say.h"

#include <stdio.h>

void say(const char *subject, const char *what)
{
    (void)fputs("metronome: ", stderr);
    for (const char *c = subject; *c != '\0'; c++)
        (void)fputc((unsigned char)*c < ' ' || *c == '\x7f' ? '?' : *c, stderr);
    (void)fprintf(stderr, ": %s\n", what);
}
