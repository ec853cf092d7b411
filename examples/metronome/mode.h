/* SPDX-License-Identifier: ISC */
/*
 * How the service treats its memory.
 *
 * PLAIN          as most programs do: pages come when they are touched, and may go to swap.
 * ONFAULT        mlockall(MCL_ONFAULT): pages stay once they have come.
 * DETERMINISTIC  all of them are there and locked before the first tick.
 *
 * What the table needs is declared in the last one only: declared in ONFAULT too, its pages
 * would be there, and nothing would be left to compare.
 */
#ifndef METRONOME_MODE_H
#define METRONOME_MODE_H

#include <stddef.h>

#include "table.h"

enum mode { MODE_PLAIN, MODE_ONFAULT, MODE_DETERMINISTIC, MODES };

extern const char *const mode_names[MODES];

/* Before any thread is started. Warnings are said. The table may be touched only while the mode is on. */
const char *mode_enter(enum mode mode, const struct table *table);

/* Secrets stay locked. */
void mode_leave(enum mode mode);

/* priority: of SCHED_FIFO, 1 to 99, or 0 for none. One thread at a time. */
const char *mode_start_thread(enum mode mode, int priority, void *(*start)(void *),
                              void *argument);
void mode_join_thread(enum mode mode);

#endif
