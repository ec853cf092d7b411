/* SPDX-License-Identifier: ISC */
#include "ticker.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define WRITES 64U

const char *const ticker_mode_names[MODES] = {"plain", "onfault", "deterministic"};

static securemem_rt_thread *deterministic_thread;
static pthread_t ordinary_thread;

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* never fails */
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static void sleep_until(uint64_t when)
{
    const struct timespec time = {.tv_sec = (time_t)(when / 1000000000U),
                                  .tv_nsec = (long)(when % 1000000000U)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static void take_request(struct ticker *ticker)
{
    unsigned taken = atomic_load_explicit(&ticker->taken, memory_order_relaxed);
    if (taken == atomic_load_explicit(&ticker->given, memory_order_acquire))
        return;
    atomic_fetch_add(&ticker->sum, ticker->requests[taken % TICKER_REQUESTS]);
    atomic_store_explicit(&ticker->taken, taken + 1, memory_order_release);
}

static void work(struct ticker *ticker, uint64_t tick, uint64_t *random)
{
    unsigned char stamp[TICKER_STAMP_BYTES];
    for (unsigned i = 0; i < WRITES; i++) {
        *random = *random * 6364136223846793005U + 1442695040888963407U;
        ticker->working[(*random >> 33) % TICKER_BYTES]++;
    }
    take_request(ticker);
    (void)crypto_auth(stamp, (const unsigned char *)&tick, sizeof tick, ticker->key);
    memcpy(ticker->working + tick % (TICKER_BYTES / sizeof stamp) * sizeof stamp, stamp,
           sizeof stamp);
}

/* Ticks that are over before they begin are missed. */
static void *tick(void *argument)
{
    struct ticker *ticker = argument;
    uint64_t random = 1;
    for (unsigned i = 0; i < 2; i++) { /* opens the witness; its pages are there then */
        if (securemem_rt_section_begin(&ticker->section) != 0 ||
            (i == 0 && securemem_rt_section_end(&ticker->section) != 0)) {
            ticker->failed = true;
            return NULL;
        }
    }
    uint64_t next = now() + TICKER_PERIOD;
    while (!atomic_load_explicit(&ticker->over, memory_order_relaxed)) {
        sleep_until(next);
        uint64_t woke = now();
        work(ticker, atomic_fetch_add(&ticker->ticks, 1), &random);
        uint64_t done = now();
        histogram_add(&ticker->work, done - woke);
        for (next += TICKER_PERIOD; next < done; next += TICKER_PERIOD)
            atomic_fetch_add(&ticker->missed, 1);
    }
    ticker->failed = securemem_rt_section_end(&ticker->section) != 0;
    return NULL;
}

static bool say_refusal(const char *what)
{
    (void)fprintf(stderr, "metronome: %s: %s\n", what, securemem_last_error()->message);
    return false;
}

static bool start_deterministic(struct ticker *ticker)
{
    static securemem_rt_preflight_report report;
    const securemem_rt_range range = {ticker->working, TICKER_BYTES, true};
    const securemem_rt_plan plan = {.mode = SECUREMEM_RT_FULL,
                                    .threads = 2,
                                    .tune_malloc = true,
                                    .ranges = &range,
                                    .range_count = 1};
    if (securemem_rt_preflight(&plan, &report) != 0)
        return say_refusal("preflight");
    for (size_t i = 0; i < report.count; i++)
        if (report.results[i].severity != SECUREMEM_RT_NOTE)
            (void)fprintf(stderr, "metronome: %s\n", report.results[i].sentence);
    if (securemem_rt_enter(&plan) != 0)
        return say_refusal("enter");
    const securemem_rt_thread_options options = {.fifo_priority = ticker->priority};
    if (securemem_rt_thread_create(&deterministic_thread, &options, tick, ticker) == 0)
        return true;
    (void)say_refusal("thread");
    (void)securemem_rt_leave();
    return false;
}

static bool start_ordinary(struct ticker *ticker)
{
    struct sched_param priority = {.sched_priority = ticker->priority};
    pthread_attr_t attributes;
    if (ticker->mode == MODE_ON_FAULT &&
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
        perror("metronome: mlockall");
        return false;
    }
    int code = pthread_attr_init(&attributes);
    if (code == 0 && ticker->priority != 0) {
        (void)pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        (void)pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        code = pthread_attr_setschedparam(&attributes, &priority);
    }
    if (code == 0)
        code = pthread_create(&ordinary_thread, &attributes, tick, ticker);
    (void)pthread_attr_destroy(&attributes);
    if (code != 0)
        (void)fprintf(stderr, "metronome: pthread_create: %s\n", strerror(code));
    return code == 0;
}

bool ticker_start(struct ticker *ticker)
{
    void *working = mmap(NULL, TICKER_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (working == MAP_FAILED) {
        perror("metronome: mmap");
        return false;
    }
    ticker->working = working;
    ticker->key = securemem_alloc(crypto_auth_KEYBYTES);
    if (ticker->key == NULL)
        return say_refusal("key");
    randombytes_buf(ticker->key, crypto_auth_KEYBYTES);
    bool started = ticker->mode == MODE_DETERMINISTIC ? start_deterministic(ticker)
                                                      : start_ordinary(ticker);
    if (!started)
        securemem_free(ticker->key);
    return started;
}

void ticker_stop(struct ticker *ticker)
{
    atomic_store(&ticker->over, true);
    if (ticker->mode == MODE_DETERMINISTIC) {
        if (securemem_rt_thread_join(deterministic_thread, NULL) != 0 ||
            securemem_rt_leave() != 0)
            ticker->failed = !say_refusal("leave");
    } else if (pthread_join(ordinary_thread, NULL) != 0) {
        ticker->failed = true;
    }
    securemem_free(ticker->key);
}

bool ticker_add(struct ticker *ticker, uint64_t number)
{
    unsigned given = atomic_load_explicit(&ticker->given, memory_order_relaxed);
    if (given - atomic_load_explicit(&ticker->taken, memory_order_acquire) ==
        TICKER_REQUESTS)
        return false;
    ticker->requests[given % TICKER_REQUESTS] = number;
    atomic_store_explicit(&ticker->given, given + 1, memory_order_release);
    return true;
}
