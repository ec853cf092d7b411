/* SPDX-License-Identifier: ISC */
/* Slots that go back: wiped, kept idle, given to the kernel. */
#include <sodium.h>

#include "kernel/kernel.h"
#include "region/visit.h"
#include "secret/account.h"
#include "secret/canary.h"
#include "secret/page.h"

/* As smem_arena_check_slot, of a slot that was seen in that state. */
static void check_slot(const struct smem_region *region, uint32_t slot,
                       enum smem_slot_state state, const void **broken)
{
    unsigned char access =
        atomic_load_explicit(&region->slots[slot].access, memory_order_relaxed);
    if (access == SMEM_ACCESS_NONE || *broken != NULL)
        return;
    if (region->kind == SMEM_RUN) {
        smem_packed_check(region, slot, broken);
        return;
    }
    /*
     * In another thread's hands, it may be freed and be another secret meanwhile: one of
     * another size, or for this look one of the same.
     */
    atomic_size_t *now = &region->slots[slot].size;
    size_t size = atomic_load_explicit(now, memory_order_acquire);
    for (unsigned i = 0; i < SMEM_LOOKS; i++) {
        if (smem_canary_intact(region, slot))
            return;
        /* Adding nothing keeps the look before it, and is rarely come to. */
        if (atomic_fetch_add_explicit(now, 0, memory_order_acq_rel) != size ||
            smem_slot_state(region, slot) != state)
            return;
    }
    *broken = smem_slot_secret(region, slot);
}

/* A thread that is about to make one of a cached slot moves its canary: it is nobody's yet. */
void smem_arena_check_slot(const struct smem_region *region, uint32_t slot,
                           const void **broken)
{
    enum smem_slot_state state = smem_slot_state(region, slot);
    if (state == SMEM_SLOT_LIVE)
        check_slot(region, slot, state, broken);
}

int smem_arena_wipe_slot(struct smem_region *region, uint32_t slot, const void **broken)
{
    unsigned char access =
        atomic_load_explicit(&region->slots[slot].access, memory_order_relaxed);
    int result = smem_region_set_access(region, slot, SMEM_ACCESS_WRITE);
    if (result != 0) {
        smem_slot_set_state(region, slot, SMEM_SLOT_HELD);
        return result;
    }
    /* Who saw it closed closes it, until it sees that it is not. */
    while (access != SMEM_ACCESS_WRITE && smem_visit_is_on())
        smem_kernel_yield();
    check_slot(region, slot, smem_slot_state(region, slot), broken);
    sodium_memzero(smem_slot_data(region, slot), region->slot_bytes);
    return 0;
}

/* Whether the arena keeps what it has idle now, of the region, beside what it lent to threads. */
static bool keeps_idle(const securemem_arena *arena, const struct smem_region *region)
{
    if (smem_account_is_reserve(arena, region) &&
        arena->idle_page_bytes <= arena->reserved_bytes)
        return true;
    size_t idle = arena->options.idle;
    return arena->lent_bytes <= idle && arena->idle_bytes <= idle - arena->lent_bytes;
}

void smem_arena_give_slot(securemem_arena *arena, struct smem_region *region,
                          uint32_t slot)
{
    struct smem_before before = smem_account_look(arena, region);
    smem_region_keep(region, slot);
    smem_account_settle(arena, region, before);
    if (keeps_idle(arena, region))
        return;
    if (region->live == 0 && region->idle == 1 && smem_account_end(arena, region) == 0)
        return;
    before = smem_account_look(arena, region);
    (void)smem_region_return_idle(region); /* refused, it is idle: wiped and protected */
    smem_account_settle(arena, region, before);
}

/* What trimming goes on with: the reserve that stays, its result, a broken canary. */
struct trimming {
    size_t keep;
    int result;
    const void *broken;
};

static void note(struct trimming *trimming, int result)
{
    if (result != 0)
        trimming->result = result;
}

/* Secrets that could not be wiped when they were freed: now, perhaps. */
static void retry_held(securemem_arena *arena, struct smem_region *region, void *context)
{
    struct trimming *trimming = context;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return;
    for (uint32_t i = 0; i < region->used; i++) {
        if (smem_slot_state(region, i) != SMEM_SLOT_HELD)
            continue;
        int wiped = smem_arena_wipe_slot(region, i, &trimming->broken);
        note(trimming, wiped);
        if (wiped != 0)
            continue;
        struct smem_before before = smem_account_look(arena, region);
        smem_region_keep(region, i);
        smem_account_settle(arena, region, before);
    }
}

/* Idle bytes of the region that are to go. */
static size_t excess(const securemem_arena *arena, const struct smem_region *region,
                     size_t keep)
{
    if (!smem_account_is_reserve(arena, region))
        return region->idle * region->slot_bytes;
    return arena->idle_page_bytes > keep ? arena->idle_page_bytes - keep : 0;
}

/* Until no more than keep of the arena's reserve is idle, or the kernel refuses. */
static void return_idle(securemem_arena *arena, struct smem_region *region,
                        struct trimming *trimming)
{
    for (uint32_t left = region->idle;
         left > 0 && region->idle == left && excess(arena, region, trimming->keep) > 0;
         left--) {
        struct smem_before before = smem_account_look(arena, region);
        note(trimming, smem_region_return_idle(region));
        smem_account_settle(arena, region, before);
    }
    struct smem_before before = smem_account_look(arena, region);
    note(trimming, smem_region_return_unused(region));
    smem_account_settle(arena, region, before);
}

static void trim_region(securemem_arena *arena, struct smem_region *region, void *context)
{
    struct trimming *trimming = context;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return;
    size_t idle = region->idle * region->slot_bytes;
    if (region->live == 0 && excess(arena, region, trimming->keep) >= idle) {
        int ended = smem_account_end(arena, region);
        if (ended == 0)
            return;
        note(trimming, ended);
    }
    return_idle(arena, region, trimming); /* at least the locks */
}

int smem_arena_trim(securemem_arena *arena, size_t keep)
{
    struct trimming trimming = {.keep = keep};
    smem_account_each(arena, trim_region, &trimming);
    return trimming.result;
}

int smem_arena_retry_and_trim(securemem_arena *arena, const void **broken)
{
    struct trimming retrying = {.broken = *broken};
    smem_account_each(arena, retry_held, &retrying);
    int result = smem_arena_trim(arena, 0);
    *broken = retrying.broken;
    return retrying.result != 0 ? retrying.result : result;
}

void smem_arena_unlock_region(securemem_arena *arena, struct smem_region *region)
{
    return_idle(arena, region, &(struct trimming){0});
    if (region->live == 0)
        smem_region_unlock(region);
}
