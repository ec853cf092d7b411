/* SPDX-License-Identifier: ISC */
/* A secret whose contents go to a new place: realloc and dup. */
#include <errno.h>
#include <securemem/secret.h>

#include "region/budget.h"
#include "region/error.h"
#include "region/locks.h"
#include "secret/copy.h"
#include "secret/misuse.h"
#include "secret/secret.h"

static size_t size_of(struct smem_place place)
{
    return atomic_load_explicit(&place.region->slots[place.slot].size,
                                memory_order_relaxed);
}

/*
 * A new secret in the arena of the old one with its contents and alignment, readable and
 * writable. On failure nothing has changed. The old one's access is put back; where the
 * kernel refuses that it is as its slot says.
 */
static int copy_to_new(struct smem_place old, size_t size, struct smem_place *out)
{
    struct smem_slot *s = &old.region->slots[old.slot];
    securemem_arena *arena = old.region->owner;
    unsigned char access = atomic_load_explicit(&s->access, memory_order_relaxed);
    unsigned align_log2 = atomic_load_explicit(&s->align_log2, memory_order_relaxed);
    if (access == SMEM_ACCESS_NONE) {
        int result = smem_region_set_access(old.region, old.slot, SMEM_ACCESS_READ);
        if (result != 0)
            return result;
    }
    int result = smem_secret_make(arena, size, align_log2, out);
    if (result == 0) {
        size_t old_size = size_of(old);
        smem_copy(smem_slot_secret(out->region, out->slot),
                  smem_slot_secret(old.region, old.slot),
                  old_size < size ? old_size : size);
    }
    if (result != 0)
        smem_error_hold();
    int restored = smem_region_set_access(old.region, old.slot, access);
    if (result != 0)
        smem_error_resume();
    if (result == 0 && restored != 0) {
        bool intact;
        smem_error_hold();
        (void)smem_arena_wipe_slot(out->region, out->slot, &intact); /* it is writable */
        smem_budget_count_secret(-1);
        smem_arena_give_slot(arena, out->region, out->slot);
        smem_error_resume();
        return restored;
    }
    return result;
}

/* The new secret takes over resting access and open scopes. */
static int hand_over(struct smem_place old, struct smem_place new)
{
    const struct smem_slot *from = &old.region->slots[old.slot];
    struct smem_slot *to = &new.region->slots[new.slot];
    to->resting_access = from->resting_access;
    to->open_scopes = from->open_scopes;
    return smem_region_set_access(
        new.region, new.slot, atomic_load_explicit(&from->access, memory_order_relaxed));
}

static void end(struct smem_place place, bool *intact)
{
    smem_budget_count_secret(-1);
    if (smem_arena_wipe_slot(place.region, place.slot, intact) == 0)
        smem_arena_give_slot(place.region->owner, place.region, place.slot);
}

static void *move(struct smem_place old, size_t size, bool *intact)
{
    struct smem_place new;
    int result = copy_to_new(old, size, &new);
    if (result == 0) {
        result = hand_over(old, new);
        if (result != 0) {
            smem_error_hold();
            end(new, intact);
            smem_error_resume();
        }
    }
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    void *moved = smem_slot_secret(new.region, new.slot);
    end(old, intact);
    return moved;
}

void *securemem_realloc(void *secret, size_t size)
{
    if (secret == NULL)
        return securemem_alloc(size);
    struct smem_place old;
    int result = smem_place_need("securemem_realloc", secret, &old);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    unsigned stripe = smem_stripe_of(&old.region->object);
    bool intact = true;
    void *moved = move(old, size, &intact);
    smem_unlock_stripe(stripe); /* the old region may be gone */
    if (!intact)
        smem_misuse(SECUREMEM_MISUSE_CANARY, secret);
    return moved;
}

void *securemem_dup(const void *secret)
{
    struct smem_place old, new;
    int result = smem_place_need("securemem_dup", secret, &old);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    result = copy_to_new(old, size_of(old), &new);
    void *copy = result == 0 ? smem_slot_secret(new.region, new.slot) : NULL;
    smem_place_release(&old);
    if (result != 0)
        errno = -result;
    return copy;
}
