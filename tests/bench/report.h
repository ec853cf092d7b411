/* SPDX-License-Identifier: ISC */
/* Figures of the benchmark: medians, tables, a picture. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "work.h"

#define REPORT_SIZES  7
#define REPORT_ROUNDS 15

/* What a process says of its peer in a round; 0 where it was not measured. */
struct sample {
    bool there;
    double one[2][REPORT_SIZES]; /* ONCE and LIVE, one thread */
    double two[PATTERNS];        /* throughput of two threads at 32 bytes, times one's */
    double trip;                 /* of a cache line, between them */
    double tail;
};

struct report {
    size_t rounds;
    struct sample samples[PEERS][REPORT_ROUNDS];
};

extern const size_t report_sizes[REPORT_SIZES];

/* Nanoseconds an operation, and ratios to malloc of the same round, as medians. */
void report_print(const struct report *report);

/* Bars on a logarithmic scale; false where the file cannot be written. */
bool report_draw(const struct report *report, const char *path);

#endif
