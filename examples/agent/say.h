/* SPDX-License-Identifier: ISC */
/*
 * What the program says on standard error, and how its parts tell one another what is
 * wrong: a function that may fail gives NULL, or one sentence without a newline, which
 * nobody frees and which holds nothing secret.
 */
#ifndef AGENT_SAY_H
#define AGENT_SAY_H

/* Writes one line, "agent: WHAT". */
void say(const char *what);

#endif
