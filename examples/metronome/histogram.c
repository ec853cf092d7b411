/* SPDX-License-Identifier: ISC */
#include "histogram.h"

static unsigned bucket_of(uint64_t nanoseconds)
{
    if (nanoseconds < HISTOGRAM_PARTS)
        return (unsigned)nanoseconds;
    unsigned power = 63U - (unsigned)__builtin_clzll(nanoseconds); /* 4 or more */
    unsigned part = (unsigned)(nanoseconds >> (power - 4)) % HISTOGRAM_PARTS;
    unsigned bucket = (power - 3) * HISTOGRAM_PARTS + part;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_end(unsigned bucket)
{
    if (bucket < HISTOGRAM_PARTS)
        return bucket;
    unsigned power = bucket / HISTOGRAM_PARTS + 3, part = bucket % HISTOGRAM_PARTS;
    return ((uint64_t)(HISTOGRAM_PARTS + part + 1) << (power - 4)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    atomic_fetch_add_explicit(&histogram->counts[bucket_of(nanoseconds)], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->total, 1, memory_order_relaxed);
    if (nanoseconds > atomic_load_explicit(&histogram->most, memory_order_relaxed))
        atomic_store_explicit(&histogram->most, nanoseconds, memory_order_relaxed);
}

uint64_t histogram_at(const struct histogram *histogram, unsigned permille)
{
    uint64_t total = atomic_load(&histogram->total), seen = 0;
    uint64_t most = atomic_load(&histogram->most);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        if (seen * 1000 >= total * permille && total > 0)
            return histogram_end(i) < most ? histogram_end(i) : most;
    }
    return most;
}
