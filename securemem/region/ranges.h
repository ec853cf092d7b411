/* SPDX-License-Identifier: ISC */
/*
 * How often each page is held locked by those who are not regions: mlock(2) does not nest,
 * and one munlock(2) ends the lock of every owner.
 *
 * Marks where the count changes (marks.h): a call is logarithmic in how many there are, and
 * linear in those that lie in its range:
 *
 *      count     0   |  1  |    2    |  1  |   0
 *      address       a     b         c     d
 *
 * A forked child has no locks, and begins without marks.
 */
#ifndef SMEM_RANGES_H
#define SMEM_RANGES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Locks the pages that nobody holds, confirmed by the kernel, and counts all. No page is
 * one of a region. 0 or a negative errno, recorded, with nothing changed.
 */
int smem_range_lock(uintptr_t start, uintptr_t end);

/*
 * Counts back, and unlocks the pages that nobody holds any more, but for those that have
 * become a region's and those of a process that is deterministic. 0 or a negative errno,
 * recorded, with nothing changed: -EINVAL where a page is not held.
 */
int smem_range_unlock(uintptr_t start, uintptr_t end);

/*
 * The same for who locks and unlocks by itself: counts, and counts back. Where memory is
 * short, drop leaves the pages held.
 */
int smem_range_hold(uintptr_t start, uintptr_t end);
void smem_range_drop(uintptr_t start, uintptr_t end);

/* With the ranges locked (region/locks.h): */

/* Calls visit with each stretch of the range that nobody holds, until it gives not 0. */
int smem_range_each_free(uintptr_t start, uintptr_t end,
                         int (*visit)(uintptr_t start, uintptr_t end, void *context),
                         void *context);

/* The same with all that is held. */
int smem_range_each_held(int (*visit)(uintptr_t start, uintptr_t end, void *context),
                         void *context);

/* How many bytes are held. */
size_t smem_range_bytes(void);

/* Aborts where the marks are not what they should be, or their sum. */
void smem_range_check(void);

#endif
