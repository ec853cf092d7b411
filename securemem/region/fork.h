/* SPDX-License-Identifier: ISC */
/*
 * What happens to regions in a forked child. The handlers are registered when the library
 * is loaded: so early, prepare runs after those of the program, and child before them.
 */
#ifndef SMEM_FORK_H
#define SMEM_FORK_H

#include <stdatomic.h>

/*
 * Makes sure that the handlers are registered. 0 or a negative errno, recorded. Once it
 * was 0 it stays so.
 */
int smem_fork_ready(void);

/* Zero, on a page that a fork wipes, in a child whose fork the library has not seen. */
extern atomic_uint *_Atomic smem_fork_marker;

/*
 * What a child does after regions were inherited, with no lock held, in the order in which
 * it was added; once, however often. There is room for what the rooms above add.
 */
void smem_fork_add_hook(void (*after)(void));

/* Puts back what a raw clone(2) took. */
void smem_fork_recover(void);

/* Every public function that looks at secrets begins with it. */
static inline void smem_fork_check(void)
{
    atomic_uint *marker = atomic_load_explicit(&smem_fork_marker, memory_order_acquire);
    if (atomic_load_explicit(marker, memory_order_relaxed) == 0)
        smem_fork_recover();
}

#endif
