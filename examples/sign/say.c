/* SPDX-License-Identifier: ISC */
#include "say.h"

#include <stdio.h>

void say(const char *path, const char *what)
{
    (void)fputs("sign: ", stderr);
    for (const char *c = path; *c != '\0'; c++)
        (void)fputc((unsigned char)*c < ' ' || *c == '\x7f' ? '?' : *c, stderr);
    (void)fprintf(stderr, ": %s\n", what);
}
