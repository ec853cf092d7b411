/* SPDX-License-Identifier: ISC */
/*
 * A count of scopes. The first is opened and the last closed with a lock held; the others
 * come and go without one.
 *
 *      count | flags of the owner's | CLOSING   the last one is being closed
 */
#ifndef SMEM_SCOPES_H
#define SMEM_SCOPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint32_t smem_scopes;

#define SMEM_SCOPES_COUNT   ((uint32_t)0xffff)
#define SMEM_SCOPES_CLOSING ((uint32_t)1 << 31)

/* Whether scopes may be added to, or taken from, without the lock. */
static inline bool smem_scopes_are_open(uint32_t scopes)
{
    return (scopes & SMEM_SCOPES_COUNT) != 0 && (scopes & SMEM_SCOPES_CLOSING) == 0;
}

static inline bool smem_scopes_are_full(uint32_t scopes)
{
    return (scopes & SMEM_SCOPES_COUNT) == SMEM_SCOPES_COUNT;
}

/*
 * One more on what is open and has the needed flags, with these flags. False where it is
 * not, or as often as can be counted.
 */
static inline bool smem_scopes_enter(smem_scopes *scopes, uint32_t needed, uint32_t flags)
{
    uint32_t now = atomic_load_explicit(scopes, memory_order_relaxed);
    while (smem_scopes_are_open(now) && !smem_scopes_are_full(now) &&
           (now & needed) == needed)
        if (atomic_compare_exchange_weak_explicit(scopes, &now, (now + 1) | flags,
                                                  memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* One less, but not the last. */
static inline bool smem_scopes_leave(smem_scopes *scopes)
{
    uint32_t now = atomic_load_explicit(scopes, memory_order_relaxed);
    while (smem_scopes_are_open(now) && (now & SMEM_SCOPES_COUNT) > 1)
        if (atomic_compare_exchange_weak_explicit(
                scopes, &now, now - 1, memory_order_release, memory_order_relaxed))
            return true;
    return false;
}

#endif
