/* SPDX-License-Identifier: ISC */
/*
 * What guarded secrets of one page run through in the steady state. What is long, or calls
 * a function, is the last that it does, so that the short ways save no registers.
 */
#ifndef SMEM_CACHE_GUARDED_H
#define SMEM_CACHE_GUARDED_H

#include "kernel/kernel.h"
#include "region/visit.h"
#include "secret/cache.h"
#include "secret/depot.h"
#include "secret/secret.h"

/* As smem_slot_secret, for a slot of one page with a guard behind it. */
SMEM_FAST char *smem_cache_secret_on(const struct smem_cache *cache, char *page,
                                     size_t size, unsigned align_log2)
{
    size_t mask = ((size_t)1 << align_log2) - 1;
    return page + ((cache->page - size) & ~mask);
}

/* Whether the cache has a slot for a secret of that size, which is not packed. */
SMEM_FAST bool smem_cache_has_guarded(const struct smem_cache *cache, size_t size)
{
    return size <= cache->page && cache->guarded.count > 0;
}

/* One of the last slots that were put into the bin, which has one. */
SMEM_FAST struct smem_depot_slot smem_cache_choose_guarded(struct smem_cache *cache)
{
    struct smem_guarded_bin *bin = &cache->guarded;
    uint32_t last = bin->count - 1;
    uint32_t chosen = last - smem_random_recent(&cache->random, bin->count);
    bin->count = last;
    struct smem_depot_slot out = {bin->slots[chosen], bin->pages[chosen]};
    bin->slots[chosen] = bin->slots[last];
    bin->pages[chosen] = bin->pages[last];
    return out;
}

/* Whether the last secret of a slot was of that size and alignment. */
SMEM_FAST bool smem_cache_fits(struct smem_depot_slot chosen, size_t size,
                               unsigned align_log2)
{
    const struct smem_slot *slot = chosen.slot;
    return atomic_load_explicit(&slot->size, memory_order_relaxed) == size &&
           atomic_load_explicit(&slot->align_log2, memory_order_relaxed) == align_log2;
}

/* What was chosen becomes a secret, where it fits. */
SMEM_FAST void *smem_cache_begin_guarded(const struct smem_cache *cache,
                                         struct smem_depot_slot chosen, size_t size,
                                         unsigned align_log2)
{
    atomic_store_explicit(&chosen.slot->state, SMEM_SLOT_LIVE, memory_order_release);
    return smem_cache_secret_on(cache, chosen.page, size, align_log2);
}

/*
 * The same where it does not fit. The last secret goes to *broken, unless that is set, where
 * bytes before it were overwritten that are now the new one's.
 */
void *smem_cache_begin_moved(const struct smem_cache *cache,
                             struct smem_depot_slot chosen, size_t size,
                             unsigned align_log2, const void **broken);

/* The one of both rows that an address lies in, on a slot or on the guard behind one; or NULL. */
SMEM_FAST const struct smem_cache_row *smem_cache_row(const struct smem_cache *cache,
                                                      const void *address)
{
    size_t at = (uintptr_t)address - cache->rows->start >= cache->rows->length;
    __asm__("" : "+r"(at)); /* which of the two cannot be foreseen: this is no branch */
    const struct smem_cache_row *row = cache->rows + at;
    return (uintptr_t)address - row->start < row->length ? row : NULL;
}

/* What this thread would free of that arena (NULL: of any), if it is in a row it knows. */
struct smem_cache_freed {
    struct smem_cache *cache;
    struct smem_slot *slot;
    char *page, *secret;
    size_t size;
};

SMEM_FAST struct smem_cache_freed smem_cache_on_row(struct smem_cache *cache,
                                                    const struct smem_cache_row *row,
                                                    void *secret)
{
    /* A page and its guard; a secret of size 0 begins at the guard. */
    size_t index = ((uintptr_t)secret - row->start) >> (cache->page_log2 + 1);
    struct smem_slot *slot = &row->slots[index];
    return (struct smem_cache_freed){
        .cache = cache,
        .slot = slot,
        .page = (char *)row->start + (index << (cache->page_log2 + 1)),
        .secret = secret,
        .size = atomic_load_explicit(&slot->size, memory_order_relaxed),
    };
}

SMEM_FAST bool smem_cache_find_guarded(const securemem_arena *arena, void *secret,
                                       struct smem_cache_freed *out)
{
    const struct smem_thread *thread = smem_thread_self;
    if (thread == NULL)
        return false;
    struct smem_cache *cache = thread->last_guarded;
    const struct smem_cache_row *row = smem_cache_row(cache, secret);
    if (row == NULL || (arena != NULL && arena != cache->arena) ||
        !smem_cache_is_current(cache))
        return false;
    *out = smem_cache_on_row(cache, row, secret);
    return true;
}

/* Whether the slot may be used again as it is: locked, open to writing, of this process. */
SMEM_FAST bool smem_cache_has_use_for(struct smem_cache_freed freed)
{
    const struct smem_cache *cache = freed.cache;
    const struct smem_slot *slot = freed.slot;
    return cache->guarded.count < cache->guarded.room &&
           atomic_load_explicit(&slot->state, memory_order_relaxed) == SMEM_SLOT_LIVE &&
           atomic_load_explicit(&slot->access, memory_order_relaxed) ==
               SMEM_ACCESS_WRITE &&
           slot->resting_access == SMEM_ACCESS_WRITE &&
           atomic_load_explicit(&slot->open_scopes, memory_order_relaxed) == 0 &&
           slot->epoch == cache->forks && (slot->locked || cache->unlocked);
}

/* A slot into a bin with room. */
SMEM_FAST void smem_cache_keep(struct smem_cache *cache, struct smem_slot *slot,
                               char *page)
{
    struct smem_guarded_bin *bin = &cache->guarded;
    bin->slots[bin->count] = slot;
    bin->pages[bin->count++] = page;
}

/* The same of one that is CACHED since a moment ago, when there may be a visitor. */
void smem_cache_keep_visited(struct smem_cache *cache, struct smem_slot *slot,
                             char *page);

/* A LIVE slot that was wiped, with canary everywhere else, into a bin with room. */
SMEM_FAST void smem_cache_put_guarded(struct smem_cache *cache, struct smem_slot *slot,
                                      char *page)
{
    if (smem_slot_end_unseen(slot, SMEM_SLOT_CACHED))
        smem_cache_keep(cache, slot, page);
    else
        smem_cache_keep_visited(cache, slot, page);
}

/*
 * Whether the canary behind the secret, and SMEM_CANARY_NEAR before it, is intact: most are
 * looked at without a loop.
 */
SMEM_FAST bool smem_cache_is_intact(struct smem_cache_freed freed)
{
    const struct smem_slot *slot = freed.slot;
    const char *secret = freed.secret, *end = freed.page + freed.cache->page;
    size_t left = (size_t)(end - secret) - freed.size;
    if (left >= SMEM_UNIT || secret - freed.page < (ptrdiff_t)SMEM_CANARY_NEAR)
        return smem_canary_near(slot, freed.page, secret, end);
    return smem_canary_before(secret, smem_canary_at(secret, slot->canary)) &&
           (left == 0 || smem_canary_behind(end, left, slot->canary));
}

/* Frees it into the cache. False, with nothing changed, if not all is well. */
SMEM_FAST bool smem_cache_free_guarded(struct smem_cache_freed freed)
{
    struct smem_slot *slot = freed.slot;
    char *secret = freed.secret;
    unsigned align = atomic_load_explicit(&slot->align_log2, memory_order_relaxed);
    if (!smem_cache_has_use_for(freed) ||
        secret != smem_cache_secret_on(freed.cache, freed.page, freed.size, align))
        return false;
    if (!smem_cache_is_intact(freed))
        return false;
    smem_clear(secret, freed.size);
    smem_cache_put_guarded(freed.cache, slot, freed.page);
    return true;
}

/*
 * The same of a brief one of whole units, at the alignment of all that ask for none: it
 * fills its page to the end, and the pattern stands before it as it is. False, with nothing
 * changed, of any other.
 */
SMEM_FAST bool smem_cache_free_brief(struct smem_cache_freed freed)
{
    struct smem_slot *slot = freed.slot;
    if (!smem_is_brief(freed.size) || freed.size % SMEM_UNIT != 0 ||
        atomic_load_explicit(&slot->align_log2, memory_order_relaxed) !=
            SMEM_ALIGN_LOG2 ||
        freed.secret + freed.size != freed.page + freed.cache->page ||
        !smem_cache_has_use_for(freed) || !smem_canary_before(freed.secret, slot->canary))
        return false;
    smem_clear_brief(freed.secret, freed.size);
    smem_cache_put_guarded(freed.cache, slot, freed.page);
    return true;
}

#endif
