/* SPDX-License-Identifier: ISC */
/* Runs side by side. */
#ifndef METRONOME_COMPARE_H
#define METRONOME_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Prints a table of the reports, at most COMPARE_MOST, and draws them into picture. Then it
 * judges, where both are there, deterministic against plain: what was to hold, and whether
 * it does. pressed: whether the runs were under memory pressure; without, plain takes no
 * major faults, and is not slow.
 *
 * False, said why: a file could not be read or written, deterministic has a fault, or plain
 * has none, which makes the absence of faults prove nothing. A latency that does not hold is
 * said and no more: other processes have their part in it.
 */
#define COMPARE_MOST 4U
bool compare(bool pressed, const char *picture, size_t count, char *const reports[]);

#endif
