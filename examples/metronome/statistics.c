/* SPDX-License-Identifier: ISC */
#include "statistics.h"

#include <inttypes.h>

#define LINE_BYTES 256

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void statistics_add_section(struct statistics *statistics,
                            const securemem_rt_section *section)
{
    statistics_add(&statistics->user_minor, section->user_minor);
    statistics_add(&statistics->user_major, section->user_major);
    statistics_add(&statistics->system, section->system);
    statistics_add(&statistics->populated, section->populated);
    statistics_add(&statistics->kernel_major, section->kernel_major);
    atomic_store_explicit(&statistics->witness, (int)section->witness,
                          memory_order_relaxed);
    atomic_store_explicit(&statistics->divided, section->divided, memory_order_relaxed);
    if (section->recorded > 0 &&
        !atomic_load_explicit(&statistics->has_first, memory_order_relaxed)) {
        statistics->first = section->faults[0];
        atomic_store_explicit(&statistics->has_first, true, memory_order_release);
    }
}

static const char *witness_name(const struct statistics *statistics)
{
    switch (atomic_load_explicit(&statistics->witness, memory_order_relaxed)) {
    case SECUREMEM_RT_WITNESS_PERF:
        return atomic_load_explicit(&statistics->divided, memory_order_relaxed)
                   ? "perf"
                   : "perf-of-user-mode";
    case SECUREMEM_RT_WITNESS_RUSAGE:
        return "getrusage";
    default:
        return "none";
    }
}

static void tell_quantiles(const struct histogram *histogram, const char *name,
                           struct text *text)
{
    text_add(text, "%s-p50 %" PRIu64 "\n", name, histogram_quantile(histogram, 500000));
    text_add(text, "%s-p99 %" PRIu64 "\n", name, histogram_quantile(histogram, 990000));
    text_add(text, "%s-p99.9 %" PRIu64 "\n", name, histogram_quantile(histogram, 999000));
    text_add(text, "%s-max %" PRIu64 "\n", name, load(&histogram->maximum));
}

void statistics_tell(const struct statistics *statistics, struct text *text)
{
#define TELL(member, name)                                                               \
    text_add(text, "%s %" PRIu64 "\n", name, load(&statistics->member));
    STATISTICS_COUNTERS(TELL)
#undef TELL
    text_add(text, "witness %s\n", witness_name(statistics));
    tell_quantiles(&statistics->work, "work", text);
    tell_quantiles(&statistics->wake, "wake", text);
    if (atomic_load_explicit(&statistics->has_first, memory_order_acquire)) {
        char line[LINE_BYTES];
        (void)securemem_rt_fault_describe(&statistics->first, line, sizeof line);
        text_add(text, "first-fault %s\n", line);
    }
}

void statistics_tell_work(const struct statistics *statistics, struct text *text)
{
    for (size_t i = 0; i < HISTOGRAM_PLACES; i++) {
        uint32_t count =
            atomic_load_explicit(&statistics->work.counts[i], memory_order_relaxed);
        if (count > 0)
            text_add(text, "work %" PRIu64 " %" PRIu32 "\n", histogram_floor(i), count);
    }
}
