/* SPDX-License-Identifier: ISC */
#include "say.h"

#include <stdio.h>

void say(const char *what)
{
    (void)fprintf(stderr, "agent: %s\n", what);
}
