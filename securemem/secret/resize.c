/* SPDX-License-Identifier: ISC */
/* A secret whose contents go to a new place: realloc and dup. */
#include <errno.h>
#include <securemem/secret.h>
#include <sodium.h>

#include "region/error.h"
#include "region/locks.h"
#include "region/visit.h"
#include "region/wipe.h"
#include "secret/cache.h"
#include "secret/copy.h"
#include "secret/low.h"
#include "secret/misuse.h"
#include "secret/secret.h"

static enum smem_kernel_access access_of(const struct smem_place *place)
{
    return atomic_load_explicit(&place->region->slots[place->slot].access,
                                memory_order_relaxed);
}

/* Whether more than plain writing was set for the secret, which a packed one cannot have. */
static bool has_access_of_its_own(const struct smem_place *place)
{
    const struct smem_slot *s = &place->region->slots[place->slot];
    return !smem_place_is_packed(place) &&
           (s->resting_access != SMEM_ACCESS_WRITE ||
            atomic_load_explicit(&s->open_scopes, memory_order_relaxed) > 0);
}

static int make_like(const struct smem_place *old, size_t size, struct smem_place *out,
                     const void **broken)
{
    securemem_arena *arena = old->region->owner;
    unsigned align_log2 = smem_place_align_log2(old);
    return has_access_of_its_own(old)
               ? smem_secret_make_guarded(arena, size, align_log2, out, broken)
               : smem_secret_make(arena, size, align_log2, out, broken);
}

static void copy(const struct smem_place *from, const struct smem_place *to)
{
    size_t old_size = smem_place_size(from), size = smem_place_size(to);
    unsigned wipes = smem_wipe_count();
    bool visited = smem_visit_is_on();
    smem_copy(smem_place_secret(to), smem_place_secret(from),
              old_size < size ? old_size : size);
    /* A wiper that was past the new place has missed what is there now. */
    if (visited || smem_wipe_count() != wipes)
        sodium_memzero(smem_place_secret(to), size);
}

/* Ends what a refused call made; the first error is the one to tell. */
static void undo(struct smem_place place)
{
    const void *broken = NULL; /* nobody has written to it */
    smem_error_hold();
    smem_secret_end(place, &broken);
    smem_error_resume();
}

/* Puts access back, and gives the first refusal: the one before, or its own. */
static int put_back(int result, const struct smem_place *place,
                    enum smem_kernel_access access)
{
    if (result != 0)
        smem_error_hold();
    int own = smem_region_set_access(place->region, place->slot, access);
    if (result == 0)
        return own;
    smem_error_resume();
    return result;
}

/*
 * A new secret in the arena of the old one with its contents and alignment, readable and
 * writable, or as the arena's door is. On failure nothing has changed. The old one's access
 * is put back; where the kernel refuses that it is as its slot says.
 */
static int copy_to_new(const struct smem_place *old, size_t size, struct smem_place *out,
                       const void **broken)
{
    int result = make_like(old, size, out, broken);
    if (result != 0)
        return result;
    enum smem_kernel_access old_access = access_of(old), access = access_of(out);
    result = smem_region_set_access(out->region, out->slot, SMEM_ACCESS_WRITE);
    if (result == 0 && access_of(old) == SMEM_ACCESS_NONE) /* not on the same page */
        result = smem_region_set_access(old->region, old->slot, SMEM_ACCESS_READ);
    if (result == 0)
        copy(old, out);
    result = put_back(result, old, old_access);
    result = put_back(result, out, access);
    if (result != 0)
        undo(*out);
    return result;
}

/* The new secret takes over resting access and open scopes. */
static int hand_over(const struct smem_place *old, const struct smem_place *new)
{
    if (!has_access_of_its_own(old))
        return 0;
    const struct smem_slot *from = &old->region->slots[old->slot];
    struct smem_slot *to = &new->region->slots[new->slot];
    to->resting_access = from->resting_access;
    atomic_store_explicit(&to->open_scopes,
                          atomic_load_explicit(&from->open_scopes, memory_order_relaxed),
                          memory_order_relaxed);
    return smem_region_set_access(new->region, new->slot, access_of(old));
}

static int move(struct smem_place *place, size_t size, const void **broken)
{
    struct smem_place new;
    int result = copy_to_new(place, size, &new, broken);
    if (result != 0)
        return result;
    result = hand_over(place, &new);
    if (result != 0) {
        undo(new);
        return result;
    }
    smem_secret_end(*place, broken);
    *place = new;
    return 0;
}

/* With no lock held: what the call has to tell, and what it gives. */
static void *finish(int result, void *secret, securemem_arena *arena, struct smem_low low,
                    const void *broken)
{
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
    smem_arena_tell_low(arena, low);
    if (result == 0)
        return secret;
    errno = -result;
    return NULL;
}

void *securemem_realloc(void *secret, size_t size)
{
    if (secret == NULL)
        return securemem_alloc(size);
    smem_cache_prepare_for(secret);
    struct smem_place place;
    int result = smem_place_need("securemem_realloc", secret, &place);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    unsigned stripe = smem_stripe_of(&place.region->object);
    const void *broken = NULL;
    securemem_arena *arena = place.region->owner;
    if (!smem_secret_resize(&place, size, &broken))
        result = move(&place, size, &broken);
    smem_arena_note_free(arena);
    struct smem_low low = smem_arena_low(arena, result != 0);
    void *moved = result == 0 ? smem_place_secret(&place) : NULL;
    smem_unlock_stripe(stripe); /* the old region may be gone */
    return finish(result, moved, arena, low, broken);
}

void *securemem_dup(const void *secret)
{
    smem_cache_prepare_for(secret);
    struct smem_place old, new;
    const void *broken = NULL;
    int result = smem_place_need("securemem_dup", secret, &old);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    securemem_arena *arena = old.region->owner;
    result = copy_to_new(&old, smem_place_size(&old), &new, &broken);
    struct smem_low low = smem_arena_low(arena, result != 0);
    void *copied = result == 0 ? smem_place_secret(&new) : NULL;
    smem_place_release(&old);
    return finish(result, copied, arena, low, broken);
}
