/* SPDX-License-Identifier: ISC */
/*
 * Memory locks on the pages of a region, each confirmed by the kernel and counted. Every
 * function here gives 0 or a negative errno, recorded.
 */
#ifndef SMEM_MEMLOCK_H
#define SMEM_MEMLOCK_H

#include "region/region.h"

static inline bool smem_region_wants_lock(const struct smem_region *region)
{
    return region->options.lock != SECUREMEM_OFF || region->secret;
}

/* A lock is required and was refused, in a forked child: nothing new may come there. */
static inline bool smem_slot_lacks_lock(const struct smem_region *region, uint32_t slot)
{
    return region->options.lock == SECUREMEM_REQUIRED && !region->slots[slot].locked;
}

/* The range of a batch: its slots with their trailing guards, and the first with both. */
static inline char *smem_batch_start(const struct smem_region *region, uint32_t first)
{
    bool leading = first == 0 && region->kind == SMEM_GUARD_REGIONS;
    return leading ? region->base : smem_slot_data(region, first);
}

static inline size_t smem_batch_length(const struct smem_region *region, uint32_t first,
                                       uint32_t slots)
{
    bool leading = first == 0 && region->kind == SMEM_GUARD_REGIONS;
    return slots * smem_region_stride(region) + (leading ? region->guard_bytes : 0);
}

/*
 * Locks a range and asks the kernel whether it is locked: a C library, an emulator or a
 * sandbox may answer 0 and lock nothing. What is locked is not counted here.
 */
int smem_region_lock_range(const struct smem_region *region, char *start, size_t length);

/* Locks a slot's pages. On a refusal nothing is locked. */
int smem_slot_lock(struct smem_region *region, uint32_t slot);

/* Unlocks a slot, if it is locked. */
int smem_slot_unlock(struct smem_region *region, uint32_t slot);

/* Locks accessible slots that have no lock, and notes in each whether it has one now. */
int smem_region_lock_batch(struct smem_region *region, uint32_t first, uint32_t slots);

/* Unlocks slots of a run, some of which may have no lock. */
int smem_region_unlock_batch(struct smem_region *region, uint32_t first, uint32_t slots);

/*
 * The same as smem_region_lock_batch for the next accessible slots in a row of those that are committed, from *at
 * on; *first is where they began, *at where they end.
 */
int smem_region_lock_run(struct smem_region *region, uint32_t *at, uint32_t *first);

#endif
