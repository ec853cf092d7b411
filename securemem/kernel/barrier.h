/* SPDX-License-Identifier: ISC */
/*
 * A memory barrier in every thread of the process, for the one that asks: whoever asks
 * seldom spares the others one each time (membarrier(2), private and expedited, Linux
 * 4.14). Contract as in kernel.h.
 */
#ifndef SMEM_BARRIER_H
#define SMEM_BARRIER_H

/* Announces that the process asks; before the first time. A forked child has it as well. */
int smem_kernel_announce_barrier(void);

/*
 * When it returns, whatever a thread of the process did before is seen by this one, and
 * what this one did before by all. Async-signal-safe.
 */
int smem_kernel_barrier(void);

#endif
