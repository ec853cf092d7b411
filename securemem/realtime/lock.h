/* SPDX-License-Identifier: ISC */
/*
 * A lock that a forked child does not find held by a thread of its parent: it is held by
 * who wrote the number of its generation. For what is rare, and slow itself.
 */
#ifndef SMEM_RT_LOCK_H
#define SMEM_RT_LOCK_H

#include <stdatomic.h>

#include "kernel/kernel.h"
#include "region/epoch.h"

typedef _Atomic uint64_t smem_rt_lock;

static inline void smem_rt_lock_take(smem_rt_lock *lock)
{
    uint64_t mine = (uint64_t)smem_epoch() + 1;
    while (atomic_exchange(lock, mine) == mine)
        smem_kernel_yield();
}

static inline void smem_rt_lock_give(smem_rt_lock *lock)
{
    atomic_store(lock, 0);
}

#endif
