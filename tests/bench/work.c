/* SPDX-License-Identifier: ISC */
#include "work.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE_ONES   1000
#define AT_ONCE     64 /* operations between two looks at the clock */
#define MOST        8
#define WARM        128
#define TRAYS       2
#define TRAY        256
#define LINE        128
#define TAIL_ROUNDS 20000

/* Threads share no cache line of ours. */
struct worker {
    _Alignas(LINE) pthread_t thread;
    const struct peer *peer;
    enum pattern pattern;
    size_t size, operations;
    double nanoseconds, elapsed;
    uint64_t random;
    unsigned number, threads;
    _Alignas(LINE) void *live[LIVE_ONES];
};

struct tray {
    _Alignas(LINE) atomic_bool full;
    _Alignas(LINE) void *memory[TRAY];
};

static struct tray trays[TRAYS];
static atomic_bool over;
static pthread_barrier_t barrier;

double work_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void *make(const struct peer *peer, size_t size)
{
    void *memory = peer->alloc(size);
    if (memory == NULL) {
        fprintf(stderr, "bench: %s has no more memory\n", peer->name);
        exit(1);
    }
    memset(memory, 1, size);
    __asm__ volatile("" : : "r"(memory) : "memory");
    return memory;
}

static size_t draw(struct worker *w)
{
    w->random = w->random * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(w->random >> 33) % LIVE_ONES;
}

static void operate(struct worker *w)
{
    if (w->pattern == ONCE) {
        w->peer->release(make(w->peer, w->size), w->size);
        return;
    }
    void **place = &w->live[draw(w)];
    w->peer->release(*place, w->size);
    *place = make(w->peer, w->size);
}

static void fill(struct worker *w, struct tray *tray)
{
    for (size_t i = 0; i < TRAY; i++)
        tray->memory[i] = make(w->peer, w->size);
    w->operations += TRAY;
}

static void empty(const struct worker *w, struct tray *tray)
{
    for (size_t i = 0; i < TRAY; i++)
        w->peer->release(tray->memory[i], w->size);
}

/* Waits until the tray is full, or is not; false where it is over before that. */
static bool wait_for(struct tray *tray, bool full)
{
    while (atomic_load_explicit(&tray->full, memory_order_acquire) != full) {
        if (atomic_load(&over))
            return false;
        sched_yield();
    }
    return true;
}

/* Two trays go back and forth: while one is filled, the other is emptied. */
static void give(struct worker *w, double start)
{
    for (size_t at = 0; work_now() - start < w->nanoseconds; at++) {
        struct tray *tray = &trays[at % TRAYS];
        (void)wait_for(tray, false);
        fill(w, tray);
        atomic_store_explicit(&tray->full, true, memory_order_release);
    }
    atomic_store(&over, true);
}

static void take(const struct worker *w)
{
    for (size_t at = 0; wait_for(&trays[at % TRAYS], true); at++) {
        empty(w, &trays[at % TRAYS]);
        atomic_store_explicit(&trays[at % TRAYS].full, false, memory_order_release);
    }
}

static void work(struct worker *w, double start)
{
    if (w->pattern == PASSED && w->threads > 1) {
        if (w->number == 0)
            give(w, start);
        else
            take(w);
        return;
    }
    size_t at_once = w->peer->slow ? 1 : AT_ONCE;
    while (work_now() - start < w->nanoseconds) {
        if (w->pattern == PASSED) {
            fill(w, trays);
            empty(w, trays);
            continue;
        }
        for (size_t i = 0; i < at_once; i++)
            operate(w);
        w->operations += at_once;
    }
}

/* The thread moves to the processor that is its own, if there are enough. */
static void settle(unsigned number)
{
    cpu_set_t allowed, own;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (size_t i = 0, seen = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed) || seen++ != number)
            continue;
        CPU_ZERO(&own);
        CPU_SET(i, &own);
        (void)sched_setaffinity(0, sizeof own, &own); /* refused, the scheduler chooses */
        return;
    }
}

#define TRIPS 20000

static _Alignas(LINE) atomic_uint ball;

static void *answer(void *argument)
{
    settle(1);
    for (unsigned i = 1; i < 2 * TRIPS; i += 2) {
        while (atomic_load(&ball) != i)
            continue;
        atomic_store(&ball, i + 1);
    }
    return argument;
}

/* In a thread of its own, which stays where it has settled. */
static void *serve(void *nanoseconds)
{
    settle(0);
    double start = work_now();
    for (unsigned i = 1; i < 2 * TRIPS; i += 2) {
        atomic_store(&ball, i);
        while (atomic_load(&ball) != i + 1)
            continue;
    }
    *(double *)nanoseconds = (work_now() - start) / TRIPS;
    return NULL;
}

double work_round_trip(void)
{
    pthread_t players[2];
    double nanoseconds;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        return 0;
    atomic_store(&ball, 0);
    if (pthread_create(&players[0], NULL, answer, NULL) != 0 ||
        pthread_create(&players[1], NULL, serve, &nanoseconds) != 0)
        abort();
    for (size_t i = 0; i < 2; i++)
        pthread_join(players[i], NULL);
    return nanoseconds;
}

static void *run(void *argument)
{
    struct worker *w = argument;
    if (w->threads > 1)
        settle(w->number);
    for (size_t i = 0; w->pattern == LIVE && i < LIVE_ONES; i++)
        w->live[i] = make(w->peer, w->size);
    for (size_t i = 0; w->pattern != PASSED && i < WARM; i++)
        operate(w);
    pthread_barrier_wait(&barrier);
    double start = work_now();
    work(w, start);
    w->elapsed = work_now() - start;
    pthread_barrier_wait(&barrier); /* nobody frees while others are timed */
    for (size_t i = 0; w->pattern == LIVE && i < LIVE_ONES; i++)
        w->peer->release(w->live[i], w->size);
    return NULL;
}

double work_time(const struct peer *peer, enum pattern pattern, size_t size,
                 unsigned threads, double milliseconds)
{
    static struct worker workers[MOST];
    atomic_store(&over, false);
    pthread_barrier_init(&barrier, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.peer = peer,
                                     .pattern = pattern,
                                     .size = size,
                                     .nanoseconds = milliseconds * 1e6,
                                     .random = i + 1,
                                     .number = i,
                                     .threads = threads};
        if (i > 0 && pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            abort();
    }
    cpu_set_t before;
    bool known = sched_getaffinity(0, sizeof before, &before) == 0;
    run(&workers[0]);
    if (known && sched_setaffinity(0, sizeof before, &before) != 0)
        abort();
    for (unsigned i = 1; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    if (pattern == PASSED) {
        for (size_t i = 0; i < TRAYS; i++)
            if (atomic_exchange(&trays[i].full, false))
                empty(&workers[0], &trays[i]);
        return workers[0].elapsed / (double)workers[0].operations;
    }
    double rate = 0; /* of all: one thread may get further than another */
    for (unsigned i = 0; i < threads; i++)
        rate += (double)workers[i].operations / workers[i].elapsed;
    return threads / rate;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The clock ticks too seldom for one operation alone, half of which would be its ticks. */
static double median_operation(struct worker *w)
{
    static double each[TAIL_ROUNDS / AT_ONCE];
    const size_t count = TAIL_ROUNDS / AT_ONCE;
    for (size_t i = 0; i < count; i++) {
        double start = work_now();
        for (size_t k = 0; k < AT_ONCE; k++)
            operate(w);
        each[i] = (work_now() - start) / AT_ONCE;
    }
    qsort(each, count, sizeof *each, compare);
    return each[count / 2];
}

static void time_each(struct worker *w, double times[TAIL_ROUNDS])
{
    for (size_t i = 0; i < TAIL_ROUNDS; i++) {
        double start = work_now();
        operate(w);
        times[i] = work_now() - start;
    }
}

double work_tail(const struct peer *peer)
{
    static double times[TAIL_ROUNDS];
    static struct worker w;
    w = (struct worker){.peer = peer, .pattern = LIVE, .size = 32, .random = 1};
    for (size_t i = 0; i < LIVE_ONES; i++)
        w.live[i] = make(peer, w.size);
    double median = median_operation(&w);
    /* The clock itself takes as long: it is taken out by its own median. */
    for (size_t i = 0; i < TAIL_ROUNDS; i++) {
        double start = work_now();
        times[i] = work_now() - start;
    }
    qsort(times, TAIL_ROUNDS, sizeof *times, compare);
    double clock = times[TAIL_ROUNDS / 2];
    /* Of the first thousand a tenth is slow, whoever the peer: a round of them to warm up. */
    for (unsigned round = 0; round < 2; round++)
        time_each(&w, times);
    qsort(times, TAIL_ROUNDS, sizeof *times, compare);
    return (times[TAIL_ROUNDS / 100 * 99] - clock) / median;
}
