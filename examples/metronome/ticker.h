/* SPDX-License-Identifier: ISC */
/*
 * The thread that ticks, 1,000 times a second.
 *
 * A tick is missed where its work has not ended when the next one is due. Those that came
 * due meanwhile are left out and missed too, but for the last, which begins at once.
 *
 * In the loop there is one system call, the sleep, and once a second those of the witness,
 * after a tick and not in it.
 */
#ifndef METRONOME_TICKER_H
#define METRONOME_TICKER_H

#include <stdatomic.h>
#include <stdint.h>

#include "handover.h"
#include "keys.h"
#include "statistics.h"
#include "table.h"

#define TICKER_RATE   1000U /* a second */
#define TICKER_PERIOD (1000000000U / TICKER_RATE)

struct ticker {
    uint64_t ticks; /* after which it ends; 0: when it is told to */
    struct table *table;
    const struct keys *keys;
    struct handover *handover;
    struct statistics *statistics;
    int ended;          /* eventfd(2), written once at the end */
    atomic_bool stop;   /* tells it to end, within a period */
    atomic_bool failed; /* it ended, for it had no memory for its witness */

    /* Its own. */
    long minor_before, major_before; /* faults of the thread when the loop began */
    securemem_rt_section section;
};

/* For pthread_create(3): argument is the struct ticker. Returns NULL. */
void *ticker_run(void *argument);

#endif
