/* SPDX-License-Identifier: ISC */
/*
 * An arena's account of its regions: in which list each is, and what they hold. All with
 * the stripe held.
 */
#ifndef SMEM_ACCOUNT_H
#define SMEM_ACCOUNT_H

#include "secret/arena.h"

/* The class of a region whose slots have so many pages. */
static inline size_t smem_account_class(enum smem_region_kind kind, size_t pages)
{
    if (kind == SMEM_RUN)
        return SMEM_RUNS;
    return pages < SMEM_RUNS ? pages : 0;
}

static inline size_t smem_account_pages(const struct smem_region *region)
{
    return region->slot_bytes / region->page;
}

/* Whether what the arena reserves are slots of this region: pages, packed or guarded ones. */
static inline bool smem_account_is_reserve(const securemem_arena *arena,
                                           const struct smem_region *region)
{
    bool packed = arena->options.placement == SECUREMEM_PACKED;
    return smem_account_pages(region) == 1 && (region->kind == SMEM_RUN) == packed;
}

/* Lives and epochs of arenas are numbered through, so that no two are the same. */
uint64_t smem_account_serial(void);

/* Caches of the arena are out of date. */
void smem_account_renew_epoch(securemem_arena *arena);

/* A new region comes into its list. */
void smem_account_add(securemem_arena *arena, struct smem_region *region);

/*
 * The region, without a LIVE, HELD or CACHED slot, leaves the arena and ends. 0, or a
 * negative errno, recorded, where the kernel refuses to unmap it: it stays, retired.
 */
int smem_account_end(securemem_arena *arena, struct smem_region *region);

/* What an operation on a region may change of the account: look before, settle after. */
struct smem_before {
    size_t held_bytes, idle_bytes, idle_page_bytes, ready_bytes;
    bool room;
};

struct smem_before smem_account_look(const securemem_arena *arena,
                                     const struct smem_region *region);
void smem_account_settle(securemem_arena *arena, struct smem_region *region,
                         struct smem_before before);

/* In a forked child: regions may be gone, and hold nothing. */
void smem_account_recount(securemem_arena *arena);

/* Bytes of idle memory that are not reserved. */
size_t smem_account_spare(const securemem_arena *arena, size_t reserved);

/* What the arena's budget leaves, in bytes. */
size_t smem_account_allowance(const securemem_arena *arena);

/* Visits every region; visit may end the one it is given. */
void smem_account_each(securemem_arena *arena,
                       void (*visit)(securemem_arena *arena, struct smem_region *region,
                                     void *context),
                       void *context);

#endif
