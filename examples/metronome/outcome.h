/* SPDX-License-Identifier: ISC */
/* The report of one run, read back. */
#ifndef METRONOME_OUTCOME_H
#define METRONOME_OUTCOME_H

#include <stdint.h>

#include "histogram.h"

/* Figures, in the order in which a table has them. */
enum outcome_figure {
    TICKS_DUE,
    TICKS_MISSED,
    USER_MINOR,
    USER_MAJOR,
    IN_SYSTEM_CALLS,
    POPULATING,
    KERNEL_MAJOR,
    RUSAGE_MINOR,
    RUSAGE_MAJOR,
    WORK_P50,
    WORK_P99,
    WORK_P999,
    WORK_MAX,
    WAKE_P999,
    WAKE_MAX,
    LOCKED_BYTES,
    FIGURES
};

struct outcome {
    char mode[16];
    char witness[24];
    uint64_t figures[FIGURES];
    struct histogram work;
};

/* What a table calls them. */
extern const char *const outcome_titles[FIGURES];

/* Every figure has to be there. NULL, or what is wrong. */
const char *outcome_read(const char *path, struct outcome *outcome);

/* Faults of any kind, as both witnesses count them. */
uint64_t outcome_faults(const struct outcome *outcome);

#endif
