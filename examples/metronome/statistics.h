/* SPDX-License-Identifier: ISC */
/*
 * What the ticking thread counts. It alone writes, with plain stores that cost it nothing;
 * others read at any time, each number whole, though not all of the same tick.
 *
 * As text, a name and a value a line, and after them the histogram of the work:
 *
 *      ticks-missed 70
 *      work 11264 302          302 ticks took 11,264 ns or somewhat more (histogram.h)
 */
#ifndef METRONOME_STATISTICS_H
#define METRONOME_STATISTICS_H

#include <securemem.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "text.h"

/* Each counter and its name in the text. */
#define STATISTICS_COUNTERS(COUNTER)                                                     \
    COUNTER(due, "ticks-due")                                                            \
    COUNTER(missed, "ticks-missed")                                                      \
    COUNTER(stamps, "stamps")                                                            \
    COUNTER(user_minor, "faults-user-minor")                                             \
    COUNTER(user_major, "faults-user-major")                                             \
    COUNTER(system, "faults-in-system-calls")                                            \
    COUNTER(populated, "faults-populating")                                              \
    COUNTER(kernel_major, "faults-in-the-kernel-major")                                  \
    COUNTER(rusage_minor, "faults-rusage-minor")                                         \
    COUNTER(rusage_major, "faults-rusage-major")

#define STATISTICS_MEMBER(member, name) _Atomic uint64_t member;

/*
 * Faults are told by two witnesses. securemem's sections, of a second each, know the kinds;
 * getrusage(2) counts from the first tick to the last without a gap.
 */
struct statistics {
    STATISTICS_COUNTERS(STATISTICS_MEMBER)
    struct histogram work; /* from a tick's beginning to its end */
    struct histogram wake; /* from when it was due to its beginning */
    atomic_int witness;    /* securemem_rt_witness of the last section */
    atomic_bool divided;   /* whether system and populated are told apart */
    atomic_bool has_first; /* set once, after first */
    securemem_rt_fault first;
};

/* The only writer's: a load and a store. */
static inline void statistics_add(_Atomic uint64_t *counter, uint64_t count)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + count, memory_order_relaxed);
}

/* A section that has ended. */
void statistics_add_section(struct statistics *statistics,
                            const securemem_rt_section *section);

/* The figures; looks up symbols and allocates, so not in the ticking thread. */
void statistics_tell(const struct statistics *statistics, struct text *text);

/* The histogram of the work. */
void statistics_tell_work(const struct statistics *statistics, struct text *text);

#endif
