/* SPDX-License-Identifier: ISC */
/* The service as a whole. */
#ifndef METRONOME_SERVICE_H
#define METRONOME_SERVICE_H

#include <stdbool.h>
#include <stdio.h>

#include "options.h"

/* Runs until it is told to end, and prints its report. False: said why not. */
bool service_run(const struct options *options, FILE *out);

#endif
