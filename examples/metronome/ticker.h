/* SPDX-License-Identifier: ISC */
/*
 * The thread that ticks: a thousand times a second it writes to 64 random places of 64 MiB,
 * takes at most one request, and stamps the tick with a key that is a secret.
 */
#ifndef METRONOME_TICKER_H
#define METRONOME_TICKER_H

#include <securemem.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

#define TICKER_PERIOD      1000000U /* nanoseconds */
#define TICKER_BYTES       (64UL << 20)
#define TICKER_STAMP_BYTES 32U
#define TICKER_REQUESTS    64U /* a power of two */

enum ticker_mode { MODE_PLAIN, MODE_ON_FAULT, MODE_DETERMINISTIC, MODES };

extern const char *const ticker_mode_names[MODES];

struct ticker {
    enum ticker_mode mode;
    int priority;  /* of SCHED_FIFO; 0: as it is */
    char *working; /* TICKER_BYTES */
    unsigned char *key;

    /* Requests from the server to the ticker: it never waits for one. */
    uint64_t requests[TICKER_REQUESTS];
    atomic_uint given, taken;

    atomic_bool over;
    atomic_uint_fast64_t ticks, missed, sum;
    struct histogram work; /* from waking to done */
    securemem_rt_section section;
    bool failed;
};

/* Starts it, after entering the mode. False, said on standard error. */
bool ticker_start(struct ticker *ticker);

/* Ends it, and leaves the mode. */
void ticker_stop(struct ticker *ticker);

/* A request to add a number to the sum; false where too many are waiting. */
bool ticker_add(struct ticker *ticker, uint64_t number);

#endif
