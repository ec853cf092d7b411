/* SPDX-License-Identifier: ISC */
#include "work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE_ONES   1000
#define AT_ONCE     64 /* operations between two looks at the clock */
#define MOST        8
#define BOXES       1024
#define TAIL_ROUNDS 20000

struct worker {
    pthread_t thread;
    const struct peer *peer;
    enum pattern pattern;
    size_t size, operations;
    double nanoseconds, elapsed;
    uint64_t random;
    void **live;
    bool gives; /* PASSED: this one allocates */
};

static _Atomic(void *) boxes[BOXES];
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

/* One thread fills the boxes, the other empties them; the filler counts. */
static void pass(struct worker *w)
{
    size_t at = 0;
    while (!atomic_load(&over)) {
        _Atomic(void *) *box = &boxes[at % BOXES];
        if (w->gives && atomic_load_explicit(box, memory_order_acquire) == NULL) {
            atomic_store_explicit(box, make(w->peer, w->size), memory_order_release);
            w->operations++;
            at++;
        } else if (!w->gives) {
            void *memory = atomic_load_explicit(box, memory_order_acquire);
            if (memory == NULL)
                continue;
            atomic_store_explicit(box, NULL, memory_order_release);
            w->peer->release(memory, w->size);
            at++;
        }
        if (w->gives && w->operations % AT_ONCE == 0 &&
            work_now() - w->elapsed > w->nanoseconds)
            atomic_store(&over, true);
    }
}

static void *run(void *argument)
{
    struct worker *w = argument;
    for (size_t i = 0; w->pattern == LIVE && i < LIVE_ONES; i++)
        w->live[i] = make(w->peer, w->size);
    size_t at_once = w->peer->slow ? 1 : AT_ONCE;
    for (size_t i = 0; w->pattern != PASSED && i < 2 * at_once; i++)
        operate(w); /* warm */
    pthread_barrier_wait(&barrier);
    double start = w->elapsed = work_now();
    if (w->pattern == PASSED)
        pass(w);
    while (w->pattern != PASSED && work_now() - start < w->nanoseconds) {
        for (size_t i = 0; i < at_once; i++)
            operate(w);
        w->operations += at_once;
    }
    w->elapsed = work_now() - start;
    pthread_barrier_wait(&barrier); /* nobody frees while others are timed */
    for (size_t i = 0; w->pattern == LIVE && i < LIVE_ONES; i++)
        w->peer->release(w->live[i], w->size);
    return NULL;
}

static void empty_boxes(const struct peer *peer, size_t size)
{
    for (size_t i = 0; i < BOXES; i++) {
        void *memory = atomic_exchange(&boxes[i], NULL);
        if (memory != NULL)
            peer->release(memory, size);
    }
}

double work_time(const struct peer *peer, enum pattern pattern, size_t size,
                 unsigned threads, double milliseconds)
{
    static void *live[MOST][LIVE_ONES];
    struct worker workers[MOST] = {0};
    atomic_store(&over, false);
    pthread_barrier_init(&barrier, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.peer = peer,
                                     .pattern = pattern,
                                     .size = size,
                                     .nanoseconds = milliseconds * 1e6,
                                     .random = i + 1,
                                     .live = live[i],
                                     .gives = i == 0};
        if (i > 0 && pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            abort();
    }
    run(&workers[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    if (pattern == PASSED) {
        empty_boxes(peer, size);
        return workers[0].elapsed / (double)workers[0].operations;
    }
    double sum = 0;
    for (unsigned i = 0; i < threads; i++)
        sum += workers[i].elapsed / (double)workers[i].operations;
    return sum / threads;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double work_tail(const struct peer *peer)
{
    static void *live[LIVE_ONES];
    static double times[TAIL_ROUNDS];
    struct worker w = {
        .peer = peer, .pattern = LIVE, .size = 32, .random = 1, .live = live};
    for (size_t i = 0; i < LIVE_ONES; i++)
        live[i] = make(peer, w.size);
    /* The clock itself takes as long: it is taken out by its own median. */
    for (size_t i = 0; i < TAIL_ROUNDS; i++) {
        double start = work_now();
        times[i] = work_now() - start;
    }
    qsort(times, TAIL_ROUNDS, sizeof *times, compare);
    double clock = times[TAIL_ROUNDS / 2];
    for (size_t i = 0; i < TAIL_ROUNDS; i++) {
        double start = work_now();
        operate(&w);
        times[i] = work_now() - start;
    }
    qsort(times, TAIL_ROUNDS, sizeof *times, compare);
    double median = times[TAIL_ROUNDS / 2] - clock;
    double last = times[TAIL_ROUNDS / 100 * 99] - clock;
    return median < 1 ? last : last / median;
}
