/* SPDX-License-Identifier: ISC */
/* What is timed: one operation is an allocation, writing all of it, and a free. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "peers.h"

enum pattern {
    ONCE,   /* freed at once */
    LIVE,   /* a random one of 1,000 live ones is freed, and made anew */
    PASSED, /* made by the trayful, then freed; with two threads by the other one */
    PATTERNS
};

/*
 * Nanoseconds an operation, for so many milliseconds. Two threads do it at the same time,
 * each on a processor of its own where there are two: a scheduler that wakes both on one
 * of them would be what is measured.
 */
double work_time(const struct peer *peer, enum pattern pattern, size_t size,
                 unsigned threads, double milliseconds);

/* The 99th of 100 single operations, divided by the median one: of 32 bytes, LIVE. */
double work_tail(const struct peer *peer);

/*
 * Nanoseconds that a cache line takes to the other processor and back: what is passed on
 * cannot be faster, and a virtual machine may have the two near each other or far apart. 0 where there is only one.
 */
double work_round_trip(void);

double work_now(void); /* nanoseconds */

#endif
