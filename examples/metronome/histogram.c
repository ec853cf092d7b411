/* SPDX-License-Identifier: ISC */
#include "histogram.h"

#include <assert.h>

#define STEP_BITS 6U
#define MILLION   1000000U

static_assert(1U << STEP_BITS == HISTOGRAM_STEPS, "the bits count the steps");

static size_t place_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (size_t)value;
    unsigned highest = 63U - (unsigned)__builtin_clzll(value);
    unsigned shift = highest - STEP_BITS;
    size_t place = shift * (size_t)HISTOGRAM_STEPS + (size_t)(value >> shift);
    return place < HISTOGRAM_PLACES ? place : HISTOGRAM_PLACES - 1;
}

uint64_t histogram_floor(size_t place)
{
    if (place < HISTOGRAM_STEPS)
        return place;
    unsigned shift = (unsigned)(place / HISTOGRAM_STEPS) - 1;
    return (uint64_t)(HISTOGRAM_STEPS + place % HISTOGRAM_STEPS) << shift;
}

/* The only writer: a load and a store, and no locked instruction. */
void histogram_put(struct histogram *histogram, uint64_t nanoseconds, uint32_t count)
{
    _Atomic uint32_t *place = &histogram->counts[place_of(nanoseconds)];
    uint32_t before = atomic_load_explicit(place, memory_order_relaxed);
    atomic_store_explicit(place, before + count, memory_order_relaxed);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    histogram_put(histogram, nanoseconds, 1);
    if (nanoseconds > atomic_load_explicit(&histogram->maximum, memory_order_relaxed))
        atomic_store_explicit(&histogram->maximum, nanoseconds, memory_order_relaxed);
}

uint64_t histogram_total(const struct histogram *histogram)
{
    uint64_t total = 0;
    for (size_t i = 0; i < HISTOGRAM_PLACES; i++)
        total += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    return total;
}

uint64_t histogram_quantile(const struct histogram *histogram, uint64_t parts_per_million)
{
    uint64_t total = histogram_total(histogram), seen = 0;
    uint64_t wanted = (total * parts_per_million + MILLION - 1) / MILLION;
    uint64_t maximum = atomic_load_explicit(&histogram->maximum, memory_order_relaxed);
    for (size_t i = 0; i < HISTOGRAM_PLACES && wanted > 0; i++) {
        seen += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        if (seen < wanted)
            continue;
        uint64_t largest = histogram_floor(i + 1) - 1;
        return largest < maximum ? largest : maximum;
    }
    return maximum;
}
