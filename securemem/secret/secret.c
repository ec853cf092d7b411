/* SPDX-License-Identifier: ISC */
/* Secrets as their users see them: allocated, freed, asked for their size. */
#include "secret/secret.h"

#include <errno.h>
#include <securemem/secret.h>
#include <sodium.h>

#include "kernel/kernel.h"
#include "region/budget.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/wipe.h"
#include "secret/canary.h"
#include "secret/misuse.h"

int smem_secret_make(securemem_arena *arena, size_t size, unsigned align_log2,
                     struct smem_place *out)
{
    struct smem_region *region;
    uint32_t slot;
    int result = smem_arena_take_slot(arena, size, &region, &slot);
    if (result != 0)
        return result;
    struct smem_slot *s = &region->slots[slot];
    atomic_store_explicit(&s->size, size, memory_order_relaxed);
    atomic_store_explicit(&s->align_log2, (unsigned char)align_log2,
                          memory_order_relaxed);
    smem_canary_write(region, slot);
    smem_budget_count_secret(1);
    *out = (struct smem_place){.region = region, .slot = slot};
    return 0;
}

/* The power of two of an alignment, or a negative errno, recorded. */
static int align_log2_of(size_t alignment)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        return smem_error_argument("alignment", "it is not a power of two");
    if (alignment > smem_kernel_page_size())
        return smem_error_argument("alignment", "it is larger than a page");
    return __builtin_ctzll(alignment);
}

/* NULL and errno for a negative result. */
static void *refuse(int result)
{
    errno = -result;
    return NULL;
}

void *securemem_arena_alloc_aligned(securemem_arena *arena, size_t size, size_t alignment)
{
    int align_log2 = align_log2_of(alignment);
    if (align_log2 < 0)
        return refuse(align_log2);
    if (!smem_arena_acquire(arena))
        return refuse(smem_error_argument("arena", "it is not a live arena"));
    struct smem_place place;
    int result = smem_secret_make(arena, size, (unsigned)align_log2, &place);
    void *secret = result == 0 ? smem_slot_secret(place.region, place.slot) : NULL;
    smem_arena_release(arena);
    return result == 0 ? secret : refuse(result);
}

void *securemem_arena_alloc(securemem_arena *arena, size_t size)
{
    return securemem_arena_alloc_aligned(arena, size, SECUREMEM_ALIGNMENT);
}

void *securemem_alloc_aligned(size_t size, size_t alignment)
{
    securemem_arena *arena = securemem_default_arena();
    return arena == NULL ? NULL : securemem_arena_alloc_aligned(arena, size, alignment);
}

void *securemem_alloc(size_t size)
{
    return securemem_alloc_aligned(size, SECUREMEM_ALIGNMENT);
}

void *securemem_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return refuse(smem_error_own("securemem_alloc_array", ENOMEM,
                                     "count times size is larger than any memory"));
    return securemem_alloc(bytes);
}

/* With the stripe held. False where the canary was broken. */
static bool end_secret(struct smem_place place)
{
    struct smem_region *region = place.region;
    smem_budget_count_secret(-1);
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE) {
        /* It was not inherited by this child: there is only bookkeeping. */
        smem_region_forget(region, place.slot);
        return true;
    }
    bool intact = true;
    if (smem_arena_wipe_slot(region, place.slot, &intact) == 0)
        smem_arena_give_slot(region->owner, region, place.slot);
    return intact;
}

/* Frees for a caller who names the arena, or for one who does not (NULL). */
static void release(const securemem_arena *arena, void *secret)
{
    struct smem_place place;
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
    if (arena != NULL && place.region->owner != arena) {
        smem_place_release(&place);
        smem_misuse(SECUREMEM_MISUSE_WRONG_ARENA, secret);
        return;
    }
    bool intact = end_secret(place);
    smem_unlock_stripe(stripe); /* the region may be gone */
    if (!intact)
        smem_misuse(SECUREMEM_MISUSE_CANARY, secret);
}

void securemem_free(void *secret)
{
    if (secret == NULL)
        return;
    int saved_errno = errno;
    release(NULL, secret);
    errno = saved_errno;
}

void securemem_arena_free(securemem_arena *arena, void *secret)
{
    if (secret == NULL)
        return;
    int saved_errno = errno;
    if (!smem_arena_acquire(arena)) {
        smem_misuse(SECUREMEM_MISUSE_NOT_AN_ARENA, arena);
    } else {
        smem_arena_release(arena);
        release(arena, secret);
    }
    errno = saved_errno;
}

size_t securemem_size(const void *secret)
{
    struct smem_place place;
    int result = smem_place_need("securemem_size", secret, &place);
    if (result != 0) {
        errno = -result;
        return 0;
    }
    size_t size =
        atomic_load_explicit(&place.region->slots[place.slot].size, memory_order_relaxed);
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
