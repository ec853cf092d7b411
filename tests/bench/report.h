/* SPDX-License-Identifier: ISC */
/* Figures of the benchmark: medians, a table, a picture. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define REPORT_SIZES 4
#define REPORT_PEERS 5

struct report {
    size_t sizes[REPORT_SIZES];
    const char *peers[REPORT_PEERS];
    double nanoseconds[REPORT_PEERS][REPORT_SIZES]; /* medians, one alloc+write+free */
};

/* Sorts values; the middle one. */
double report_median(double *values, size_t count);

/* Each peer's nanoseconds, and its ratio to the first peer. */
void report_print(const struct report *report);

/* Bars on a logarithmic scale; false where the file cannot be written. */
bool report_draw(const struct report *report, const char *path);

#endif
