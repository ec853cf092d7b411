/* SPDX-License-Identifier: ISC */
/*
 * Durations, counted in buckets: 16 to each power of two of nanoseconds, so that a
 * percentile is right to 6 percent. Written by one thread, read by any; it never allocates.
 */
#ifndef METRONOME_HISTOGRAM_H
#define METRONOME_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_PARTS   16U
#define HISTOGRAM_BUCKETS (40U * HISTOGRAM_PARTS)

struct histogram {
    atomic_uint_fast64_t counts[HISTOGRAM_BUCKETS], total, most;
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/* The duration that so many of 1,000 are not above. */
uint64_t histogram_at(const struct histogram *histogram, unsigned permille);

/* The upper end of a bucket, in nanoseconds. */
uint64_t histogram_end(unsigned bucket);

#endif
