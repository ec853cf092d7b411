/* SPDX-License-Identifier: ISC */
/*
 * A picture, SVG: for each outcome how many ticks took how long. Both axes are logarithmic,
 * and the same for all, so that one slow tick among 10,000 is seen.
 */
#ifndef METRONOME_PICTURE_H
#define METRONOME_PICTURE_H

#include <stddef.h>

#include "outcome.h"

/* NULL, or why the file cannot be written. */
const char *picture_draw(const char *path, const struct outcome *outcomes, size_t count);

#endif
