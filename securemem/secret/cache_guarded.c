/* SPDX-License-Identifier: ISC */
/* Guarded secrets of one page in a thread's cache, and in the depot between threads. */
#include "secret/cache_guarded.h"

void *smem_cache_begin_moved(const struct smem_cache *cache,
                             struct smem_depot_slot chosen, size_t size,
                             unsigned align_log2, const void **broken)
{
    struct smem_slot *slot = chosen.slot;
    size_t old_size = atomic_load_explicit(&slot->size, memory_order_relaxed);
    unsigned old_align = atomic_load_explicit(&slot->align_log2, memory_order_relaxed);
    char *old = smem_cache_secret_on(cache, chosen.page, old_size, old_align);
    char *secret = smem_cache_secret_on(cache, chosen.page, size, align_log2);
    if (secret < old && !smem_canary_between(slot, secret, old) && *broken == NULL)
        *broken = old;
    smem_canary_move(slot, old, old_size, secret, size);
    atomic_store_explicit(&slot->size, size, memory_order_relaxed);
    atomic_store_explicit(&slot->align_log2, (unsigned char)align_log2,
                          memory_order_relaxed);
    return smem_cache_begin_guarded(cache, chosen, size, align_log2);
}

void smem_cache_keep_visited(struct smem_cache *cache, struct smem_slot *slot, char *page)
{
    smem_slot_end_visited(slot, SMEM_SLOT_CACHED);
    smem_cache_keep(cache, slot, page);
}

const struct smem_cache_row *smem_cache_remember_row(struct smem_cache *cache,
                                                     const struct smem_region *region)
{
    if (region->guard_bytes == 0 || region->slot_bytes != region->page)
        return NULL;
    memmove(cache->rows + 1, cache->rows, sizeof cache->rows - sizeof *cache->rows);
    cache->rows[0] = (struct smem_cache_row){
        .start = (uintptr_t)region->base + region->lead_bytes,
        .length = region->capacity * smem_region_stride(region),
        .slots = region->slots,
    };
    smem_thread_self->last_guarded = cache;
    return cache->rows;
}

void smem_cache_fill_guarded(securemem_arena *arena)
{
    struct smem_cache *cache = smem_cache_entered(arena);
    if (cache == NULL)
        return;
    struct smem_guarded_bin *bin = &cache->guarded;
    struct smem_region *region;
    uint32_t slot;
    while (bin->count < bin->room / 2 &&
           smem_arena_take_idle_page(arena, &region, &slot) == 0) {
        if (smem_arena_falls_short(region, slot)) { /* another may have what it lacks */
            smem_arena_give_slot(arena, region, slot);
            break;
        }
        smem_canary_write(region, slot); /* of size 0: everywhere */
        smem_cache_put_guarded(cache, &region->slots[slot], smem_slot_data(region, slot));
    }
}

/*
 * A thread that hands secrets to others, or is handed theirs, comes to the depot again and
 * again: with more room it comes more seldom.
 */
static void widen(struct smem_cache *cache)
{
    securemem_arena *arena = cache->arena;
    size_t idle = arena->options.idle;
    size_t left = idle > arena->lent_bytes ? (idle - arena->lent_bytes) / cache->page : 0;
    uint32_t room = cache->guarded.room, more = SMEM_GUARDED_MOST - room;
    if (room == 0 || left / 2 < more) /* others are to have as much */
        return;
    cache->guarded.room = SMEM_GUARDED_MOST;
    arena->lent_bytes += more * cache->page;
}

/* The cache's last slot goes to the depot; false where that cannot have it. */
static bool leave_one(struct smem_cache *cache)
{
    struct smem_guarded_bin *bin = &cache->guarded;
    uint32_t last = bin->count - 1;
    const struct smem_depot_slot left = {bin->slots[last], bin->pages[last]};
    if (!smem_depot_leave(cache->arena, left))
        return false;
    bin->count = last;
    return true;
}

bool smem_cache_unload_guarded(struct smem_region *region, void *secret)
{
    struct smem_cache *cache = smem_cache_entered(region->owner);
    if (cache == NULL || region->kind == SMEM_RUN ||
        atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return false;
    if (cache->guarded.count >= cache->guarded.room) {
        for (uint32_t i = cache->guarded.count / 2; i > 0 && leave_one(cache); i--)
            continue;
        widen(cache);
    }
    const struct smem_cache_row *row = smem_cache_row(cache, secret);
    if (row == NULL)
        row = smem_cache_remember_row(cache, region);
    return row != NULL && smem_cache_free_guarded(smem_cache_on_row(cache, row, secret));
}

void *smem_cache_reload_guarded(securemem_arena *arena, size_t size, unsigned align_log2,
                                const void **broken)
{
    struct smem_cache *cache = arena->depot_count == 0 ? NULL : smem_cache_entered(arena);
    if (cache == NULL || size > cache->page)
        return NULL;
    widen(cache);
    struct smem_guarded_bin *bin = &cache->guarded;
    struct smem_depot_slot taken;
    while (bin->count < (bin->room + 1) / 2 && smem_depot_take(arena, &taken)) {
        __builtin_prefetch(taken.slot, 1);
        __builtin_prefetch(taken.page + cache->page - SMEM_CACHE_LINE, 1);
        bin->slots[bin->count] = taken.slot;
        bin->pages[bin->count++] = taken.page;
    }
    if (!smem_cache_has_guarded(cache, size))
        return NULL;
    struct smem_depot_slot chosen = smem_cache_choose_guarded(cache);
    return smem_cache_fits(chosen, size, align_log2)
               ? smem_cache_begin_guarded(cache, chosen, size, align_log2)
               : smem_cache_begin_moved(cache, chosen, size, align_log2, broken);
}

static void give_back(securemem_arena *arena, const struct smem_slot *slot,
                      const char *page, const void **broken)
{
    struct smem_region *region = smem_registry_find(page);
    uint32_t index = (uint32_t)(slot - region->slots);
    if (smem_arena_wipe_slot(region, index, broken) == 0)
        smem_arena_give_slot(arena, region, index);
}

void smem_cache_empty_guarded(struct smem_cache *cache, const void **broken)
{
    struct smem_guarded_bin *bin = &cache->guarded;
    for (; bin->count > 0; bin->count--)
        give_back(cache->arena, bin->slots[bin->count - 1], bin->pages[bin->count - 1],
                  broken);
}

void smem_cache_empty_depot(securemem_arena *arena, const void **broken)
{
    struct smem_depot_slot taken;
    while (smem_depot_take(arena, &taken))
        give_back(arena, taken.slot, taken.page, broken);
}
