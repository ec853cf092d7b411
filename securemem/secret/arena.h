/* SPDX-License-Identifier: ISC */
/*
 * An arena: its options and its regions, by the size of their slots.
 *
 *      classes[n]   regions with room whose slots have n pages
 *      classes[0]   regions with room whose one slot has SMEM_RUNS pages or more
 *      classes[SMEM_RUNS]   runs with room, for packed secrets
 *      full         all others
 *      pages[c]     pages of runs with free packed secrets of the size class c
 *      depot        slots between threads (depot.h)
 *
 * Guarded by the arena's stripe.
 */
#ifndef SMEM_ARENA_H
#define SMEM_ARENA_H

#include <errno.h>
#include <securemem/arena.h>

#include "region/region.h"
#include "secret/door.h"
#include "secret/sizes.h"

#define SMEM_RUNS    32U
#define SMEM_CLASSES (SMEM_RUNS + 1)

enum smem_arena_state {
    SMEM_ARENA_FREE = 0, /* of the pool */
    SMEM_ARENA_LIVE,
    SMEM_ARENA_DEFAULT, /* live, and never destroyed */
    SMEM_ARENA_ENDED    /* destroyed, but holds secrets that could not be wiped */
};

struct smem_page;
struct smem_depot_slot;

struct securemem_arena {
    struct smem_pool_object object; /* state: enum smem_arena_state */
    _Atomic uint64_t life, epoch;   /* see cache.h; no two are the same in a process */

    securemem_arena_options options;
    struct smem_door door;
    uint64_t random;
    bool holds_stacks; /* and nothing else (region.h) */
    bool low_told;     /* on_low was called, and more did not remain since */
    struct smem_page *pages[SMEM_SIZE_CLASSES];
    struct smem_region *classes[SMEM_CLASSES];
    struct smem_region *full;
    uint32_t class_capacity[SMEM_CLASSES]; /* slots of all regions of the class */
    size_t held_bytes;                     /* counts against options.budget */
    size_t idle_bytes;                     /* counts against options.idle */
    size_t idle_page_bytes; /* of these, slots of a page: what may be reserved */
    size_t ready_bytes;     /* committed with others, and not yet handed out */
    size_t lent_bytes;      /* of options.idle, to caches of threads and the depot */
    size_t reserved_bytes;  /* of idle_page_bytes, what stays */
    struct smem_depot_slot *depot; /* see depot.h; NULL: it never had one */
    uint32_t depot_count;
};

/* Whether it is one that was not destroyed, at this moment. */
bool smem_arena_is_live(securemem_arena *arena);

/*
 * Locks the stripe of a live arena, and opens its key; false, with nothing locked, where
 * it is none.
 */
bool smem_arena_acquire(securemem_arena *arena);
void smem_arena_release(securemem_arena *arena);

/* Live secrets of the process, by counting them. */
size_t smem_arena_count_secrets(void);

/*
 * With the arena's stripe held: a LIVE slot of at least size bytes, as smem_region_take
 * gives it; one of a run; and one that is idle already, guarded or of a run, or -ENOENT
 * without a record.
 * 0 or a negative errno, recorded.
 */
int smem_arena_take_slot(securemem_arena *arena, size_t size, struct smem_region **region,
                         uint32_t *slot);
int smem_arena_take_page(securemem_arena *arena, struct smem_region **region,
                         uint32_t *slot);
int smem_arena_take_idle_page(securemem_arena *arena, struct smem_region **region,
                              uint32_t *slot);
int smem_arena_take_idle_run(securemem_arena *arena, struct smem_region **region,
                             uint32_t *slot);

/* Whether a preferred protection was refused for want of room: locks, or mappings. */
static inline bool smem_arena_falls_short(const struct smem_region *region, uint32_t slot)
{
    return region->slots[slot].lock_refused == ENOMEM || region->guards_refused == ENOMEM;
}

/* With the stripe held: as securemem_arena_reserve. */
int smem_arena_reserve(securemem_arena *arena, size_t bytes);

/*
 * With the stripe held: wipes the pages of a slot that is LIVE, HELD or CACHED, whatever
 * its access, and says whether its canaries were intact, or which secret's was not. 0; or
 * a negative errno, recorded, where the kernel refuses the access: then nothing is wiped
 * and the slot is HELD.
 */
int smem_arena_wipe_slot(struct smem_region *region, uint32_t slot, const void **broken);

/*
 * With the stripe held: what it checks; a slot that is not LIVE, or without access, is not
 * looked at.
 */
void smem_arena_check_slot(const struct smem_region *region, uint32_t slot,
                           const void **broken);

/* With the stripe held: such a slot, wiped, becomes idle or goes back. */
void smem_arena_give_slot(securemem_arena *arena, struct smem_region *region,
                          uint32_t slot);

/*
 * With the stripe held: gives idle memory back but for keep bytes of what may be reserved,
 * or until the kernel refuses. 0 or a negative errno, recorded.
 */
int smem_arena_trim(securemem_arena *arena, size_t keep);

/* The same, after another try at what could not be wiped; as smem_arena_wipe_slot. */
int smem_arena_retry_and_trim(securemem_arena *arena, const void **broken);

/*
 * With the stripe held: a region that cannot be unmapped gives back the locks of what
 * holds no secret.
 */
void smem_arena_unlock_region(securemem_arena *arena, struct smem_region *region);

#endif
