/* SPDX-License-Identifier: ISC */
/*
 * How often something took how long, in nanoseconds.
 *
 * Below 64 ns each value has a place of its own; above, each octave has 64 places, so that
 * a place is known to 1.6 %. One thread adds; others may read meanwhile, and then may see
 * the last value in the histogram but not yet in its maximum.
 */
#ifndef METRONOME_HISTOGRAM_H
#define METRONOME_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEPS   ((size_t)64) /* of an octave */
#define HISTOGRAM_OCTAVES 31 /* up to 2^36 ns, 68 seconds; longer ones count as that */
#define HISTOGRAM_PLACES  (HISTOGRAM_OCTAVES * HISTOGRAM_STEPS)

struct histogram {
    _Atomic uint64_t maximum; /* exact */
    _Atomic uint32_t counts[HISTOGRAM_PLACES];
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/* Adds what another process counted in the place of that value. */
void histogram_put(struct histogram *histogram, uint64_t nanoseconds, uint32_t count);

/* The least value of a place; of the one past the last, where that ends. */
uint64_t histogram_floor(size_t place);

uint64_t histogram_total(const struct histogram *histogram);

/*
 * What parts_per_million of the values do not exceed, as the largest value of its place, at
 * most the maximum. 0 where there are none.
 */
uint64_t histogram_quantile(const struct histogram *histogram,
                            uint64_t parts_per_million);

#endif
