/* SPDX-License-Identifier: ISC */
#include "ticker.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

#define SECOND 1000000000U

static uint64_t now(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time); /* neither clock is ever refused */
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void sleep_until(uint64_t due)
{
    const struct timespec time = {.tv_sec = (time_t)(due / SECOND),
                                  .tv_nsec = (long)(due % SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ; /* a debugger, or a signal that stopped the process */
}

/* One text a tick: what it costs is part of the tick's work. */
static void answer(struct ticker *ticker, uint64_t tick, uint64_t time)
{
    struct handover_place *place = handover_next(ticker->handover);
    if (place == NULL)
        return;
    place->stamp.tick = tick;
    place->stamp.time = time;
    keys_stamp(ticker->keys, &place->stamp, place->text, place->length);
    handover_answer(place);
    statistics_add(&ticker->statistics->stamps, 1);
}

static void work(struct ticker *ticker, uint64_t tick)
{
    uint64_t time = now(CLOCK_REALTIME);
    table_change(ticker->table, ticker->keys, tick, time);
    answer(ticker, tick, time);
}

/* What the kernel counted for this thread since the loop began. */
static void count_all(struct ticker *ticker)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_THREAD, &usage); /* it exists, and the pointer is good */
    atomic_store_explicit(&ticker->statistics->rusage_minor,
                          (uint64_t)(usage.ru_minflt - ticker->minor_before),
                          memory_order_relaxed);
    atomic_store_explicit(&ticker->statistics->rusage_major,
                          (uint64_t)(usage.ru_majflt - ticker->major_before),
                          memory_order_relaxed);
}

static bool begin_section(struct ticker *ticker)
{
    return securemem_rt_section_begin(&ticker->section) == 0;
}

/* Its faults are known from now on. */
static void end_section(struct ticker *ticker)
{
    (void)securemem_rt_section_end(&ticker->section); /* begun by this thread */
    statistics_add_section(ticker->statistics, &ticker->section);
    count_all(ticker);
}

/* The first section opens the thread's witness, which takes memory: it does not count. */
static bool prepare(struct ticker *ticker)
{
    if (!begin_section(ticker))
        return false;
    (void)securemem_rt_section_end(&ticker->section); /* begun by this thread */
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_THREAD, &usage); /* as in count_all */
    ticker->minor_before = usage.ru_minflt;
    ticker->major_before = usage.ru_majflt;
    return begin_section(ticker);
}

/* One tick. Gives how many are over: itself, and those that it made come too late. */
static uint64_t tick_once(struct ticker *ticker, uint64_t tick, uint64_t due)
{
    struct statistics *statistics = ticker->statistics;
    sleep_until(due);
    const uint64_t begun = now(CLOCK_MONOTONIC);
    work(ticker, tick);
    const uint64_t ended = now(CLOCK_MONOTONIC);
    uint64_t missed = (ended - due) / TICKER_PERIOD;
    if (ticker->ticks != 0 && missed > ticker->ticks - tick)
        missed = ticker->ticks - tick;
    const uint64_t over = missed == 0 ? 1 : missed;
    histogram_add(&statistics->work, ended - begun);
    histogram_add(&statistics->wake, begun - due);
    statistics_add(&statistics->due, over);
    statistics_add(&statistics->missed, missed);
    return over;
}

/* Until it is told to stop, or has ticked enough. False: a section was refused. */
static bool tick_on(struct ticker *ticker)
{
    const uint64_t start = now(CLOCK_MONOTONIC) + TICKER_PERIOD;
    uint64_t tick = 0, counted = 0;
    while (!atomic_load_explicit(&ticker->stop, memory_order_relaxed) &&
           (ticker->ticks == 0 || tick < ticker->ticks)) {
        tick += tick_once(ticker, tick, start + tick * TICKER_PERIOD);
        if (tick - counted < TICKER_RATE)
            continue;
        counted = tick;
        end_section(ticker);
        if (!begin_section(ticker))
            return false;
    }
    end_section(ticker);
    return true;
}

void *ticker_run(void *argument)
{
    struct ticker *ticker = argument;
    bool good = prepare(ticker) && tick_on(ticker);
    atomic_store(&ticker->failed, !good);
    (void)eventfd_write(ticker->ended, 1); /* the first write: it never waits */
    return NULL;
}
