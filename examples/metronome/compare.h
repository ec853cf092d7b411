/* SPDX-License-Identifier: ISC */
/* Runs side by side: a table, a picture, and what has to hold. */
#ifndef METRONOME_COMPARE_H
#define METRONOME_COMPARE_H

#include <stdbool.h>

#include "ticker.h"

/* Writes what a run measured to a file, for compare. False, said. */
bool compare_write(const char *path, const struct ticker *ticker);

/*
 * Reads a file of each mode, prints the table, draws the histograms as SVG into picture
 * (NULL: not). Whether no fault happened in the deterministic run, and faults in the plain
 * one where pressed: there was pressure on memory.
 */
bool compare(const char *const files[MODES], const char *picture, bool pressed);

#endif
