/* SPDX-License-Identifier: ISC */
/* Secrets as their users see them: allocated, freed, asked for their size. */
#include "secret/secret.h"

#include <errno.h>
#include <securemem/secret.h>
#include <sodium.h>

#include "kernel/kernel.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/memlock.h"
#include "region/registry.h"
#include "region/wipe.h"
#include "secret/cache_guarded.h"
#include "secret/canary.h"
#include "secret/door.h"
#include "secret/low.h"
#include "secret/misuse.h"
#include "secret/packed.h"

/* The class of a secret that is to be packed; 0 where it is to be guarded. */
static unsigned packed_class(const securemem_arena *arena, size_t size,
                             unsigned align_log2)
{
    if (size >= smem_packed_below(&arena->options))
        return 0;
    return smem_class_for(size + smem_packed_canary(&arena->options), align_log2);
}

/* Refused, the new secret ends; it is the first error that is told. */
static int shut(const struct smem_place *place)
{
    int result = smem_door_shut(place->region, place->slot);
    if (result == 0)
        return 0;
    const void *broken = NULL; /* nobody has written to it */
    smem_error_hold();
    smem_secret_end(*place, &broken);
    smem_error_resume();
    return result;
}

static int make_packed(securemem_arena *arena, size_t size, unsigned align_log2,
                       unsigned class, struct smem_place *out, const void **broken)
{
    struct smem_packed packed;
    int result = smem_cache_take(arena, class, &packed);
    if (result != 0 && smem_cache_holds(arena)) {
        smem_cache_recall(arena, broken);
        result = smem_cache_take(arena, class, &packed);
    }
    if (result != 0)
        return result;
    bool canary = smem_packed_canary(&arena->options) != 0;
    struct smem_region *region = smem_registry_find(packed.secret);
    uint32_t slot = smem_packed_slot(region, packed.secret);
    result = smem_door_reach(region, slot);
    if (result != 0) {
        smem_packed_give(arena, &packed.secret, &packed.word, 1);
        return result;
    }
    smem_packed_begin(packed, size, smem_size_classes[class].stride,
                      smem_word_live(SMEM_WORD_LIVE, size, align_log2), canary);
    *out = (struct smem_place){.region = region, .slot = slot, .packed = packed};
    return shut(out);
}

/* What is refused, also if only preferred, may be what this thread caches. */
static int take_slot(securemem_arena *arena, size_t size, struct smem_region **region,
                     uint32_t *slot, const void **broken)
{
    int result = smem_arena_take_slot(arena, size, region, slot);
    if (result == 0 && !smem_arena_falls_short(*region, *slot))
        return 0;
    if (!smem_cache_holds(arena))
        return result;
    if (result == 0)
        smem_arena_give_slot(arena, *region, *slot);
    smem_cache_recall(arena, broken);
    return smem_arena_take_slot(arena, size, region, slot);
}

int smem_secret_make_guarded(securemem_arena *arena, size_t size, unsigned align_log2,
                             struct smem_place *out, const void **broken)
{
    struct smem_region *region;
    uint32_t slot;
    void *cached = smem_cache_reload_guarded(arena, size, align_log2, broken);
    if (cached != NULL) {
        region = smem_registry_find(cached);
        slot = smem_region_slot_at(region, cached);
        *out = (struct smem_place){.region = region, .slot = slot};
        return 0;
    }
    int result = take_slot(arena, size, &region, &slot, broken);
    if (result != 0)
        return result;
    struct smem_slot *s = &region->slots[slot];
    atomic_store_explicit(&s->align_log2, (unsigned char)align_log2,
                          memory_order_relaxed);
    atomic_store_explicit(&s->size, size, memory_order_release); /* a visitor may look */
    smem_canary_write(region, slot);
    *out = (struct smem_place){.region = region, .slot = slot};
    smem_cache_fill_guarded(arena);
    return shut(out);
}

int smem_secret_make(securemem_arena *arena, size_t size, unsigned align_log2,
                     struct smem_place *out, const void **broken)
{
    unsigned class = packed_class(arena, size, align_log2);
    return class == 0 ? smem_secret_make_guarded(arena, size, align_log2, out, broken)
                      : make_packed(arena, size, align_log2, class, out, broken);
}

bool smem_secret_resize(const struct smem_place *place, size_t size, const void **broken)
{
    const securemem_arena *arena = place->region->owner;
    if (!smem_place_is_packed(place))
        return false;
    struct smem_packed packed = place->packed;
    unsigned class = smem_packed_class(place->region, place->slot);
    if (packed_class(arena, size, smem_place_align_log2(place)) != class ||
        smem_slot_lacks_lock(place->region, place->slot) || /* new bytes would, too */
        smem_door_reach(place->region, place->slot) != 0)
        return false;
    if (!smem_packed_resize(smem_page_of(place->region, place->slot), packed, size,
                            smem_packed_canary(&arena->options) != 0))
        *broken = packed.secret;
    (void)smem_door_shut(place->region, place->slot); /* refused, it is reported so */
    return true;
}

static void end_packed(struct smem_place place, const void **broken)
{
    struct smem_packed packed = place.packed;
    if (smem_door_reach(place.region, place.slot) != 0)
        return; /* behind its door it stays as it is, until the arena is destroyed */
    unsigned class = smem_packed_class(place.region, place.slot);
    bool canary = smem_packed_canary(&place.region->options) != 0;
    size_t size = smem_place_size(&place), stride = smem_size_classes[class].stride;
    if (!smem_packed_end(packed, size, stride, canary)) {
        if (!smem_packed_was_wiped(smem_page_of(place.region, place.slot), packed.secret,
                                   size, stride))
            *broken = packed.secret;
        (void)smem_packed_end(packed, size, stride, false);
    }
    smem_clear(packed.secret, stride);
    if (!smem_packed_is_last(place.region, place.slot))
        (void)smem_door_shut(place.region, place.slot); /* refused, it is reported so */
    if (smem_slot_lacks_lock(place.region, place.slot))
        smem_packed_give(place.region->owner, &packed.secret, &packed.word, 1);
    else
        smem_cache_give(place.region->owner, class, packed);
}

void smem_secret_end(struct smem_place place, const void **broken)
{
    struct smem_region *region = place.region;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        smem_place_forget(&place); /* not inherited: there is only bookkeeping */
    else if (smem_place_is_packed(&place))
        end_packed(place, broken);
    else if (smem_arena_wipe_slot(region, place.slot, broken) == 0)
        smem_arena_give_slot(region->owner, region, place.slot);
}

/* The power of two of an alignment, or a negative errno, recorded. */
static int align_log2_of(const char *operation, size_t alignment)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        return smem_error_argument(operation, "the alignment is not a power of two");
    if (alignment > smem_kernel_page_size())
        return smem_error_argument(operation, "the alignment is larger than a page");
    return __builtin_ctzll(alignment);
}

/* NULL and errno for a negative result. */
static void *refuse(int result)
{
    errno = -result;
    return NULL;
}

/* Apart, as all that is not steady, so that the fast ways save no registers. */
__attribute__((noinline)) static void *make(securemem_arena *arena, size_t size,
                                            unsigned align_log2)
{
    smem_cache_prepare(arena);
    if (!smem_arena_acquire(arena))
        return refuse(
            smem_error_argument("securemem_arena_alloc", "it is not a live arena"));
    struct smem_place place;
    struct smem_low low;
    const void *broken = NULL;
    int result = smem_secret_make(arena, size, align_log2, &place, &broken);
    low = smem_arena_low(arena, result != 0);
    smem_arena_release(arena);
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
    void *secret = result == 0 ? smem_place_secret(&place) : NULL;
    smem_arena_tell_low(arena, low); /* who may destroy the arena */
    return result == 0 ? secret : refuse(result);
}

__attribute__((noinline)) static void *begin_moved(const struct smem_cache *cache,
                                                   struct smem_depot_slot chosen,
                                                   size_t size, unsigned align_log2)
{
    const void *broken = NULL;
    void *secret = smem_cache_begin_moved(cache, chosen, size, align_log2, &broken);
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
    return secret;
}

__attribute__((noinline)) static void *make_guarded(struct smem_cache *cache,
                                                    securemem_arena *arena, size_t size,
                                                    unsigned align_log2)
{
    if (!smem_cache_has_guarded(cache, size))
        return make(arena, size, align_log2);
    struct smem_depot_slot chosen = smem_cache_choose_guarded(cache);
    if (!smem_cache_fits(chosen, size, align_log2))
        return begin_moved(cache, chosen, size, align_log2);
    return smem_cache_begin_guarded(cache, chosen, size, align_log2);
}

SMEM_FAST void *alloc(securemem_arena *arena, size_t size, unsigned align_log2)
{
    struct smem_cache *cache = smem_cache_here(arena);
    if (cache == NULL)
        return make(arena, size, align_log2);
    if (size >= cache->packed_below)
        return make_guarded(cache, arena, size, align_log2);
    void *secret;
    return smem_cache_alloc_packed(cache, size, align_log2, &secret)
               ? secret
               : make(arena, size, align_log2);
}

void *securemem_arena_alloc_aligned(securemem_arena *arena, size_t size, size_t alignment)
{
    int align_log2 = align_log2_of("securemem_arena_alloc_aligned", alignment);
    return align_log2 < 0 ? refuse(align_log2) : alloc(arena, size, (unsigned)align_log2);
}

void *securemem_arena_alloc(securemem_arena *arena, size_t size)
{
    return alloc(arena, size, SMEM_ALIGN_LOG2);
}

void *securemem_alloc_aligned(size_t size, size_t alignment)
{
    securemem_arena *arena = securemem_default_arena();
    int align_log2 = align_log2_of("securemem_alloc_aligned", alignment);
    if (align_log2 < 0)
        return refuse(align_log2);
    return arena == NULL ? NULL : alloc(arena, size, (unsigned)align_log2);
}

void *securemem_alloc(size_t size)
{
    securemem_arena *arena = securemem_default_arena();
    return arena == NULL ? NULL : alloc(arena, size, SMEM_ALIGN_LOG2);
}

void *securemem_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return refuse(smem_error_own("securemem_alloc_array", ENOMEM,
                                     "count times size is larger than any memory"));
    return securemem_alloc(bytes);
}

/* Frees for a caller who names the arena, or for one who does not (NULL). */
static void release(const securemem_arena *arena, void *secret)
{
    struct smem_place place;
    smem_cache_prepare_for(secret);
    switch (smem_place_acquire(secret, &place)) {
    case SMEM_FREED:
        smem_misuse(SECUREMEM_MISUSE_DOUBLE_FREE, secret);
        return;
    case SMEM_INTERIOR:
        smem_misuse(SECUREMEM_MISUSE_INTERIOR, secret);
        return;
    case SMEM_FOREIGN:
        smem_misuse(SECUREMEM_MISUSE_FOREIGN, secret);
        return;
    case SMEM_FOUND:
        break;
    }
    unsigned stripe = smem_stripe_of(&place.region->object);
    securemem_arena *owner = place.region->owner;
    if (arena != NULL && owner != arena) {
        smem_place_release(&place);
        smem_misuse(SECUREMEM_MISUSE_WRONG_ARENA, secret);
        return;
    }
    const void *broken = NULL;
    if (!smem_cache_unload_guarded(place.region, secret))
        smem_secret_end(place, &broken);
    smem_arena_note_free(owner);
    smem_unlock_stripe(stripe); /* the region may be gone */
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
}

/* The same, for a caller whose errno stays. */
__attribute__((noinline)) static void release_quietly(const securemem_arena *arena,
                                                      void *secret)
{
    int saved_errno = errno;
    release(arena, secret);
    errno = saved_errno;
}

__attribute__((noinline)) static void free_elsewhere(const securemem_arena *arena,
                                                     void *secret)
{
    if (!smem_cache_free_elsewhere(arena, secret))
        release_quietly(arena, secret);
}

/* In parts: a struct would be handed over in memory. */
__attribute__((noinline)) static void free_guarded(struct smem_cache *cache,
                                                   struct smem_slot *slot, char *page,
                                                   char *secret, size_t size,
                                                   const securemem_arena *arena)
{
    if (!smem_cache_free_guarded(
            (struct smem_cache_freed){cache, slot, page, secret, size}))
        release_quietly(arena, secret);
}

__attribute__((noinline)) static void free_any(const securemem_arena *arena, void *secret)
{
    struct smem_cache_freed freed;
    smem_canary_expect(secret);
    if (!smem_cache_find_guarded(arena, secret, &freed))
        free_elsewhere(arena, secret);
    else if (!smem_cache_free_brief(freed))
        free_guarded(freed.cache, freed.slot, freed.page, freed.secret, freed.size,
                     arena);
}

SMEM_FAST void free_packed(struct smem_cache *cache, void *secret)
{
    if (!smem_cache_free_here(cache, secret))
        release_quietly(NULL, secret);
}

void securemem_free(void *secret)
{
    if (secret == NULL)
        return;
    struct smem_cache *cache;
    if (smem_cache_find(NULL, secret, &cache))
        free_packed(cache, secret);
    else
        free_any(NULL, secret);
}

void securemem_arena_free(securemem_arena *arena, void *secret)
{
    if (secret == NULL)
        return;
    struct smem_cache *cache;
    if (arena != NULL && smem_cache_find(arena, secret, &cache)) {
        free_packed(cache, secret);
        return;
    }
    if (!smem_arena_acquire(arena)) {
        smem_misuse(SECUREMEM_MISUSE_NOT_AN_ARENA, arena);
        return;
    }
    smem_arena_release(arena);
    free_any(arena, secret);
}

size_t securemem_size(const void *secret)
{
    struct smem_place place;
    int result = smem_place_need("securemem_size", secret, &place);
    if (result != 0) {
        errno = -result;
        return 0;
    }
    size_t size = smem_place_size(&place);
    smem_place_release(&place);
    return size;
}

int securemem_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void securemem_wipe(void *ptr, size_t len)
{
    sodium_memzero(ptr, len);
}

size_t securemem_wipe_all(void)
{
    int saved_errno = errno;
    size_t failed = smem_wipe_regions(SMEM_WIPE_SECRETS);
    errno = saved_errno;
    return failed;
}
