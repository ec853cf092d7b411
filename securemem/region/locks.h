/* SPDX-License-Identifier: ISC */
/*
 * The locks of the library, in the order in which they may be taken:
 *
 *      sealed  >  stripe  >  ranges  >  registry  >  pools
 *      signals, alone
 *
 * A sealed lock guards the sealed secrets that are assigned to it; all of them together
 * guard which sealing keys are in use.
 *
 * A stripe guards the arenas that are assigned to it and all their regions and slots. It
 * is held across system calls, as that of ranges (ranges.h) and of signals (signal.h) are;
 * registry and pools are for growing, and the registry where a page that might become a
 * region's is unlocked. Stripes are
 * static and few, so that fork(2) can take them all and no arena's end can outrun a
 * thread that waits for it. No thread holds two stripes of a kind, but for the one that
 * forks or exchanges a sealing key.
 */
#ifndef SMEM_LOCKS_H
#define SMEM_LOCKS_H

#define SMEM_STRIPES        16U
#define SMEM_SEALED_STRIPES 16U

void smem_lock_sealed(unsigned stripe);
void smem_unlock_sealed(unsigned stripe);
void smem_lock_every_sealed(void);
void smem_unlock_every_sealed(void);

void smem_lock_stripe(unsigned stripe);
void smem_unlock_stripe(unsigned stripe);

/* With the stripe held: until it is unlocked this thread has all rights to the key. */
void smem_stripe_open(unsigned stripe, unsigned key);

void smem_lock_ranges(void);
void smem_unlock_ranges(void);

void smem_lock_registry(void);
void smem_unlock_registry(void);

void smem_lock_pools(void);
void smem_unlock_pools(void);

void smem_lock_signals(void);
void smem_unlock_signals(void);

/* Around fork(2), and for a child that finds itself forked by a raw clone(2). */
void smem_lock_all(void);
void smem_unlock_all(void);

#endif
