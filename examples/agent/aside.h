/* SPDX-License-Identifier: ISC */
/* Work with opened keys, which leaves nothing of them on the stack or in registers. */
#ifndef AGENT_ASIDE_H
#define AGENT_ASIDE_H

#include <stdbool.h>

/* Runs work(argument). False, with nothing done, where there is no stack for it. */
bool aside(void (*work)(void *argument), void *argument);

#endif
