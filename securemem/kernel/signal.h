/* SPDX-License-Identifier: ISC */
/* The SIGTRAP of a page fault (perf_event_open(2), sigtrap). Contract as in kernel.h. */
#ifndef SMEM_SIGNAL_H
#define SMEM_SIGNAL_H

#include <stdint.h>

/* Called in the thread that faulted; async-signal-safe. */
typedef void (*smem_trap_handler)(uintptr_t instruction, uintptr_t address);

/*
 * From now on handler gets such signals; others go to the handler that was there before.
 * unset: that one gets all of them again, unless the program has set another meanwhile,
 * which stays. Not at the same time in two threads.
 */
int smem_kernel_set_trap(smem_trap_handler handler);
int smem_kernel_unset_trap(void);

/* 1 where the calling thread blocks SIGTRAP, else 0. */
int smem_kernel_trap_is_blocked(void);

#endif
