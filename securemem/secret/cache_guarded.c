/* SPDX-License-Identifier: ISC */
/* Guarded secrets of one page in a thread's cache. */
#include "region/visit.h"
#include "secret/cache.h"

/* As smem_slot_secret, for a slot of one page with a guard behind it. */
static char *secret_on(const struct smem_cache *cache, char *page, size_t size,
                       unsigned align_log2)
{
    size_t mask = ((size_t)1 << align_log2) - 1;
    return page + ((cache->page - size) & ~mask);
}

SMEM_FAST void put(struct smem_cache *cache, struct smem_slot *slot, char *page)
{
    struct smem_guarded_bin *bin = &cache->guarded;
    smem_slot_end(slot, SMEM_SLOT_CACHED);
    bin->slots[bin->count] = slot;
    bin->pages[bin->count++] = page;
}

void smem_cache_put_guarded(struct smem_cache *cache, struct smem_slot *slot, char *page)
{
    put(cache, slot, page);
}

void *smem_cache_alloc_guarded(struct smem_cache *cache, size_t size, unsigned align_log2)
{
    struct smem_guarded_bin *bin = &cache->guarded;
    if (size > cache->page || bin->count == 0)
        return NULL;
    uint32_t chosen = smem_random_below(&cache->random, bin->count), last = --bin->count;
    struct smem_slot *slot = bin->slots[chosen];
    char *page = bin->pages[chosen];
    bin->slots[chosen] = bin->slots[last];
    bin->pages[chosen] = bin->pages[last];

    size_t old_size = atomic_load_explicit(&slot->size, memory_order_relaxed);
    unsigned old_align = atomic_load_explicit(&slot->align_log2, memory_order_relaxed);
    char *secret = secret_on(cache, page, size, align_log2);
    if (old_size != size || old_align != align_log2) {
        smem_canary_move(slot, secret_on(cache, page, old_size, old_align), old_size,
                         secret, size);
        atomic_store_explicit(&slot->size, size, memory_order_relaxed);
        atomic_store_explicit(&slot->align_log2, (unsigned char)align_log2,
                              memory_order_relaxed);
    }
    atomic_store_explicit(&slot->state, SMEM_SLOT_LIVE, memory_order_release);
    return secret;
}

/* Whether a slot may be used again as it is: locked, open to writing, of this process. */
static bool is_plain(const struct smem_cache *cache, const struct smem_slot *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_relaxed) == SMEM_SLOT_LIVE &&
           atomic_load_explicit(&slot->access, memory_order_relaxed) ==
               SMEM_ACCESS_WRITE &&
           slot->resting_access == SMEM_ACCESS_WRITE &&
           atomic_load_explicit(&slot->open_scopes, memory_order_relaxed) == 0 &&
           slot->epoch == cache->forks && (slot->locked || cache->unlocked);
}

bool smem_cache_free_guarded(struct smem_cache *cache, void *secret)
{
    /* A page and its guard; a secret of size 0 begins at the guard. */
    const struct smem_cache_row *row = &cache->row;
    size_t index = ((uintptr_t)secret - row->start) >> (cache->page_log2 + 1);
    char *page = (char *)row->start + (index << (cache->page_log2 + 1));
    struct smem_slot *slot = &row->slots[index];
    size_t size = atomic_load_explicit(&slot->size, memory_order_relaxed);
    unsigned align = atomic_load_explicit(&slot->align_log2, memory_order_relaxed);
    if (cache->guarded.count >= cache->guarded.room || !is_plain(cache, slot) ||
        secret != secret_on(cache, page, size, align))
        return false;

    char *first = secret, *end = page + cache->page;
    bool alone = first + size == end && first - page >= (ptrdiff_t)SMEM_CANARY_NEAR;
    if (alone ? !smem_canary_before(first, slot->canary)
              : !smem_canary_near(slot, page, first, end))
        return false;
    smem_clear(first, size);
    put(cache, slot, page);
    return true;
}

bool smem_cache_remember_row(struct smem_cache *cache, const struct smem_region *region)
{
    if (region->guard_bytes == 0 || region->slot_bytes != region->page)
        return false;
    cache->row = (struct smem_cache_row){
        .start = (uintptr_t)region->base + region->lead_bytes,
        .length = region->capacity * smem_region_stride(region),
        .slots = region->slots,
    };
    smem_thread_self->last_guarded = cache;
    return true;
}
