/* SPDX-License-Identifier: ISC */
/*
 * The one handler that the library has, of signals that a room asks for: the SIGTRAP of a
 * page fault (perf_event_open(2), sigtrap), and those that are about to end the process.
 * Whatever is not the library's goes to the handler that was there before, as if this one
 * were not there. Contract as in kernel.h; set and unset with the lock of signals held.
 */
#ifndef SMEM_SIGNAL_H
#define SMEM_SIGNAL_H

#include <stdint.h>

/* Called in the thread that faulted; async-signal-safe. */
typedef void (*smem_trap_handler)(uintptr_t instruction, uintptr_t address);

/*
 * From now on handler gets such signals; others go to the handler that was there before.
 * unset: that one gets all of them again, unless the program has set another meanwhile,
 * which stays.
 */
int smem_kernel_set_trap(smem_trap_handler handler);
int smem_kernel_unset_trap(void);

/* 1 where the calling thread blocks SIGTRAP, else 0. */
int smem_kernel_trap_is_blocked(void);

/* Async-signal-safe. */
typedef void (*smem_fatal_handler)(void);

/*
 * From now on handler is called when the signal is about to end the process, or a handler of
 * the program's is about to run, which may do so; one for all signals. unset: as above. The
 * process then ends by the same signal, with its siginfo_t, at the same instruction.
 */
int smem_kernel_set_fatal(int number, smem_fatal_handler handler);
int smem_kernel_unset_fatal(int number);

/* 1 where the signal's action is the default, else 0. */
int smem_kernel_is_default(int number);

/* The same, also where only what smem_kernel_set_fatal set stands before the default. */
int smem_kernel_ends_as_default(int number);

#endif
