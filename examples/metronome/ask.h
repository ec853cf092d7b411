/* SPDX-License-Identifier: ISC */
/* The client. */
#ifndef METRONOME_ASK_H
#define METRONOME_ASK_H

#include <stdio.h>

#include "options.h"

/*
 * Sends each line of in as a request, behind the token unless there is none, and prints the
 * answers: what follows "ok" on out, errors too. NULL, or why it could not;
 * *refused is how many answers were errors.
 */
const char *ask(const struct options *options, FILE *in, FILE *out, unsigned *refused);

#endif
