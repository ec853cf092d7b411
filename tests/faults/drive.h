/* SPDX-License-Identifier: ISC */
/*
 * Plays scenarios under every fault, in worker processes: a crash is a finding, and the
 * next worker goes on behind it.
 */
#ifndef FAULTS_DRIVE_H
#define FAULTS_DRIVE_H

#include "faults/scenario.h"

struct tally {
    unsigned long points; /* faults that were met */
    unsigned findings;
};

/* Where all is emulated, one in so many of a scenario's variants is played. */
size_t drive_stride(void);

/* All variants of all scenarios. What is found goes to standard error. */
void drive(const struct scenario *scenarios, size_t count, struct tally *tally);

/* One run in this process without a fault: NULL, or what was found. */
const char *drive_once(const struct scenario *scenario, const struct variant *variant);

#endif
