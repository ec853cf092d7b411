/* SPDX-License-Identifier: ISC */
/*
 * A region: one reservation of addresses with slots of equal size, each slot some data
 * pages with a guard page on both sides (neighbours share one).
 *
 *      kind GUARD_PAGES     |G|DD|G|DD|G|DD|G|..|G|     G: PROT_NONE
 *      kind GUARD_REGIONS   |g|DD|g|DD|g|DD|g|......|   g: MADV_GUARD_INSTALL in one
 *                           \___ committed __/          locked mapping; dots: PROT_NONE
 *      kind RUN             |G|D|D|D|........|G|
 *      kind UNGUARDED       |DD|DD|DD|........|
 *
 * The reservation is PROT_NONE. GUARD_PAGES and UNGUARDED commit one slot at a time:
 * mprotect, mlock. RUN commits a batch at once; what is not committed guards its end.
 * GUARD_REGIONS commit a batch: mprotect, guards, mlock2(ONFAULT), in this order since a
 * locked range takes no guards; its slots are then populated, at once where the kernel can.
 * The first guard goes in while the reservation is still one mapping, so that all its later
 * parts share the kernel's anon_vma and batches merge: the committed part stays one mapping.
 *
 * A slot:  UNUSED -> LIVE -> IDLE (wiped, accessible, locked) -> LIVE ...
 *                         -> RETURNED (no memory, no access)  -> LIVE ...
 *                         -> HELD (could not be wiped)        -> IDLE, RETURNED
 *                         -> CACHED (wiped, for its thread)   -> LIVE, IDLE
 *
 * Everything here is called with the stripe of the region's owner held.
 */
#ifndef SMEM_REGION_H
#define SMEM_REGION_H

#include <securemem/arena.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/kernel.h"
#include "region/metadata.h"

#define SMEM_NO_SLOT UINT32_MAX

/*
 * No reservation is shorter, in bytes, than a chunk of the registry: what is not needed of
 * it costs addresses.
 */
#define SMEM_CHUNK_BITS   16U
#define SMEM_REGION_LEAST ((size_t)1 << SMEM_CHUNK_BITS)

/* Slots whose bookkeeping fits into the region's own object. */
#define SMEM_INLINE_SLOTS 16U

enum smem_slot_state {
    SMEM_SLOT_UNUSED = 0,
    SMEM_SLOT_LIVE,
    SMEM_SLOT_IDLE,
    SMEM_SLOT_RETURNED,
    SMEM_SLOT_HELD,
    SMEM_SLOT_CACHED
};

/*
 * size, state, access and align_log2 are read without a lock by smem_wipe_regions. After
 * a free, size and align_log2 stay, so that a second free can be told. epoch is that of
 * smem_epoch() at allocation: a smaller one was inherited.
 */
struct smem_slot {
    _Alignas(SMEM_CACHE_LINE) atomic_size_t size;
    uint64_t canary;
    uint32_t next; /* in the list of idle or of returned slots */
    uint32_t epoch;
    _Atomic uint32_t open_scopes; /* the count, and a flag: secret/scopes.h */
    atomic_uchar state;
    atomic_uchar access; /* what the pages allow while LIVE */
    uint8_t resting_access;
    atomic_uchar align_log2;
    uint8_t lock_refused; /* errno; 0: not refused, or not asked for */
    bool locked : 1;
    bool kept_wiped : 1; /* inherited under FORK_KEEP, but wiped for want of a lock */
    uint32_t wiped_in;   /* the epoch of the process in which that was */
};
_Static_assert(sizeof(struct smem_slot) == SMEM_CACHE_LINE, "its thread's alone");

enum smem_region_state {
    SMEM_REGION_FREE = 0, /* of the pool */
    SMEM_REGION_LIVE,
    SMEM_REGION_GONE,  /* not mapped in this child (FORK_DROP) */
    SMEM_REGION_ENDING /* about to be unmapped: nobody else touches its pages */
};

enum smem_region_kind { SMEM_GUARD_PAGES, SMEM_GUARD_REGIONS, SMEM_RUN, SMEM_UNGUARDED };

struct smem_region;

/*
 * The stretches of a LIVE slot that hold secrets: calls visit with each. Runs without a
 * lock, and in signal handlers.
 */
typedef void (*smem_slot_secrets)(struct smem_region *region, uint32_t slot,
                                  void (*visit)(void *context, char *start,
                                                size_t length),
                                  void *context);

/* Clears what the owner wrote to the extra bytes of the region. */
typedef void (*smem_extra_clear)(const struct smem_region *region);

/* Invariants: smem_region_check. */
struct smem_region {
    struct smem_pool_object object; /* state: enum smem_region_state */
    _Atomic uint64_t where; /* its addresses while the registry knows it (registry.h) */

    struct smem_region *next, **link; /* in a list of the owner's; link points to here */
    void *owner;
    securemem_arena_options options; /* the owner's */
    enum smem_region_kind kind;

    char *base;
    size_t length;
    size_t page;
    unsigned page_log2;
    size_t slot_bytes;  /* data */
    size_t lead_bytes;  /* the guard before the first slot */
    size_t guard_bytes; /* the guard behind each slot */
    uint32_t capacity;
    _Atomic uint32_t committed; /* slots [0, committed) have been accessible */
    uint32_t used;              /* slots [0, used) have been handed out */
    uint32_t noted;     /* bookkeeping of slots from there on is all zeros, of a run */
    uint32_t populated; /* of guard regions: [used, populated) are in memory */
    uint32_t live;      /* LIVE, HELD and CACHED */
    uint32_t idle_head, idle;
    uint32_t returned_head, returned;
    size_t held_bytes; /* committed: what counts against the owner's budget */
    size_t charged;    /* of those, locked */

    bool
        placeholder; /* GONE: its addresses are reserved; guarded by the registry's lock */
    bool retired;    /* hands out nothing more: a fork took what its secrets need */
    bool secret;     /* its pages are of memfd_secret(2) */
    unsigned key;    /* the protection key of its pages, see keys.h; 0: none */
    int guards_refused, no_dump_refused, fork_refused, no_merge_refused,
        secret_memory_refused; /* errno */

    bool stacks;               /* its secrets are stacks, on which threads run */
    smem_slot_secrets secrets; /* NULL: every slot holds one, that its slot describes */
    char *extra;               /* extra_bytes a slot, for the owner */
    size_t extra_bytes;
    smem_extra_clear clear_extra; /* NULL: no other region takes its bookkeeping over */

    struct smem_slot *slots; /* inline ones, or a mapping, with extra behind them */
    struct smem_slot inline_slots[SMEM_INLINE_SLOTS];
};

struct smem_region_plan {
    const securemem_arena_options *options;
    enum smem_region_kind kind;
    size_t slot_pages;
    uint32_t capacity;
    void *owner;
    unsigned stripe;
    int guards_refused; /* errno for which the owner fell back to UNGUARDED */
    bool stacks;
    unsigned key; /* protection key, or 0 */
    smem_slot_secrets secrets;
    size_t extra_bytes;
    smem_extra_clear clear_extra;
};

/* A region without a committed slot. 0 or a negative errno, recorded, nothing left. */
int smem_region_create(const struct smem_region_plan *plan, struct smem_region **out);

/*
 * Unmaps the region and forgets it. No slot is LIVE or HELD. On a refusal, a negative
 * errno, recorded, it stays whole but is retired.
 */
int smem_region_release(struct smem_region *region);

/* Unlocks all of a region without such a slot. A refusal is no error: it is tried
 * in vain, and the charge stays.
 */
void smem_region_unlock(struct smem_region *region);

/*
 * With the registry's lock held: keeps the addresses of a region that is GONE from other
 * use. 0, also where there is nothing to do, or a negative errno.
 */
int smem_region_hold_place(struct smem_region *region);

/* Whether smem_region_take may succeed. */
bool smem_region_has_room(const struct smem_region *region);

/*
 * A slot, LIVE with size 0, writable and zero-filled, with the lock that the options ask
 * for; at most allowance bytes are committed anew. 0 or a negative errno, recorded, with
 * nothing changed.
 */
int smem_region_take(struct smem_region *region, size_t allowance, uint32_t *out);

/* A LIVE, HELD or CACHED slot that was wiped becomes IDLE. */
void smem_region_keep(struct smem_region *region, uint32_t slot);

/*
 * A slot that was never LIVE, or is RETURNED, becomes IDLE: accessible, locked, zeros. As
 * smem_region_take.
 */
int smem_region_add_idle(struct smem_region *region, size_t allowance);

/* Gives back what is committed and was never LIVE. 0 or a negative errno, recorded. */
int smem_region_return_unused(struct smem_region *region);

/* A LIVE or CACHED slot of a region that is GONE becomes RETURNED; all IDLE ones do. */
void smem_region_forget(struct smem_region *region, uint32_t slot);
void smem_region_forget_idle(struct smem_region *region);

/*
 * The last IDLE slot becomes RETURNED: unlocked, dropped, without access. A negative
 * errno, recorded, where the kernel refuses a part of it: the slot is then IDLE as
 * before, or RETURNED but still locked or in memory; smem_region.idle tells which.
 */
int smem_region_return_idle(struct smem_region *region);

/* Sets what the pages of a LIVE slot allow. 0 or a negative errno, recorded. */
int smem_region_set_access(struct smem_region *region, uint32_t slot,
                           enum smem_kernel_access access);

/*
 * The same for every LIVE slot, many in one call where nothing lies between them. On a
 * refusal the rest is set nevertheless.
 */
int smem_region_set_access_of_all(struct smem_region *region,
                                  enum smem_kernel_access access);

/*
 * Brings in what of it can be written and was handed out or is kept: a child's zeros are
 * not there before they are touched. Refused, a touch does it.
 */
void smem_region_bring_in(struct smem_region *region);

/*
 * Every LIVE region, without a lock; async-signal-safe. Whoever unmaps one first sets it
 * to ENDING, then waits until no visitor is left: visitors never wait. One whose region
 * is ENDING meanwhile leaves it at once.
 */
void smem_region_each(void (*visit)(struct smem_region *region, void *context),
                      void *context);

/* The same in a process that ends (visit.h). */
void smem_region_each_last(void (*visit)(struct smem_region *region, void *context),
                           void *context);

/* Whether the address lies on the data pages of a slot that was handed out or is IDLE. */
bool smem_region_is_used(const struct smem_region *region, const char *address);

/* Aborts when an invariant does not hold. Cheap: no walk over slots. */
void smem_region_check(const struct smem_region *region);

static inline size_t smem_region_stride(const struct smem_region *region)
{
    return region->slot_bytes + region->guard_bytes;
}

/* The slot on whose pages, or guard behind them, an address from the first slot on lies. */
static inline uint32_t smem_region_slot_at(const struct smem_region *region,
                                           const char *address)
{
    size_t offset = (size_t)(address - region->base) - region->lead_bytes;
    uint32_t pages = (uint32_t)(offset >> region->page_log2);
    return pages / (uint32_t)(smem_region_stride(region) >> region->page_log2);
}

static inline char *smem_slot_data(const struct smem_region *region, uint32_t slot)
{
    return region->base + region->lead_bytes + slot * smem_region_stride(region);
}

/*
 * Where the secret of the slot begins: its end, cut to the alignment. One of size 0 is
 * the trailing guard's address, or without guards the last aligned one of the slot.
 */
static inline char *smem_slot_secret(const struct smem_region *region, uint32_t slot)
{
    const struct smem_slot *s = &region->slots[slot];
    size_t size = atomic_load_explicit(&s->size, memory_order_relaxed);
    size += size == 0 && region->guard_bytes == 0;
    size_t mask =
        ((size_t)1 << atomic_load_explicit(&s->align_log2, memory_order_relaxed)) - 1;
    return smem_slot_data(region, slot) + ((region->slot_bytes - size) & ~mask);
}

static inline void smem_slot_set_state(struct smem_region *region, uint32_t slot,
                                       enum smem_slot_state state)
{
    atomic_store_explicit(&region->slots[slot].state, (unsigned char)state,
                          memory_order_release);
}

static inline enum smem_slot_state smem_slot_state(const struct smem_region *region,
                                                   uint32_t slot)
{
    return atomic_load_explicit(&region->slots[slot].state, memory_order_relaxed);
}

#endif
