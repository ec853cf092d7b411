/* SPDX-License-Identifier: ISC */
/*
 * An arena: its options and its regions, by the size of their slots.
 *
 *      classes[n]   regions with room whose slots have n pages
 *      classes[0]   regions with room whose one slot has SMEM_CLASSES pages or more
 *      full         all others
 *
 * Guarded by the arena's stripe.
 */
#ifndef SMEM_ARENA_H
#define SMEM_ARENA_H

#include <securemem/arena.h>

#include "region/region.h"

#define SMEM_CLASSES 32U

enum smem_arena_state {
    SMEM_ARENA_FREE = 0, /* of the pool */
    SMEM_ARENA_LIVE,
    SMEM_ARENA_DEFAULT, /* live, and never destroyed */
    SMEM_ARENA_ENDED    /* destroyed, but holds secrets that could not be wiped */
};

struct securemem_arena {
    struct smem_pool_object object; /* state: enum smem_arena_state */
    securemem_arena_options options;
    struct smem_region *classes[SMEM_CLASSES];
    struct smem_region *full;
    uint32_t class_capacity[SMEM_CLASSES]; /* slots of all regions of the class */
    size_t held_bytes;                     /* counts against options.budget */
    size_t idle_bytes;                     /* counts against options.idle */
};

/* Locks the stripe of a live arena; false, with nothing locked, where it is none. */
bool smem_arena_acquire(securemem_arena *arena);
void smem_arena_release(securemem_arena *arena);

/*
 * With the arena's stripe held: a LIVE slot of at least size bytes, as smem_region_take
 * gives it. 0 or a negative errno, recorded.
 */
int smem_arena_take_slot(securemem_arena *arena, size_t size, struct smem_region **region,
                         uint32_t *slot);

/*
 * With the stripe held: wipes the pages of a LIVE or HELD slot, whatever its access, and
 * says whether the canary was intact. 0; or a negative errno, recorded, where the kernel
 * refuses the access: then nothing is wiped and the slot is HELD.
 */
int smem_arena_wipe_slot(struct smem_region *region, uint32_t slot, bool *intact);

/* With the stripe held: a LIVE or HELD slot that was wiped becomes idle or goes back. */
void smem_arena_give_slot(securemem_arena *arena, struct smem_region *region,
                          uint32_t slot);

/* With the stripe held: as securemem_arena_trim. */
int smem_arena_trim(securemem_arena *arena);

/*
 * With the stripe held: the region, without a LIVE or HELD slot, leaves the arena and
 * ends. 0, or a negative errno, recorded, where the kernel refuses to unmap it.
 */
int smem_arena_drop_region(securemem_arena *arena, struct smem_region *region);

/*
 * With the stripe held: a region without a LIVE or HELD slot that the kernel refuses to
 * unmap gives back its locks.
 */
void smem_arena_unlock_region(securemem_arena *arena, struct smem_region *region);

/* With the stripe held: visits every region; visit may drop the one it is given. */
void smem_arena_each_region(securemem_arena *arena,
                            void (*visit)(securemem_arena *arena,
                                          struct smem_region *region, void *context),
                            void *context);

#endif
