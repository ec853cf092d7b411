/* SPDX-License-Identifier: ISC */
#include "secret/place.h"

#include "region/error.h"
#include "region/fork.h"
#include "region/inherit.h"
#include "region/locks.h"
#include "region/registry.h"

static enum smem_found find_packed(struct smem_region *region, const char *pointer,
                                   struct smem_place *out)
{
    unsigned class;
    if (!smem_packed_find(region, pointer, &out->packed, &class))
        return SMEM_INTERIOR;
    out->slot = smem_packed_slot(region, pointer);
    uint32_t word = atomic_load_explicit(out->packed.word, memory_order_relaxed);
    bool live =
        smem_word_is_live(word) && smem_slot_state(region, out->slot) == SMEM_SLOT_LIVE;
    return live ? SMEM_FOUND : SMEM_FREED;
}

static enum smem_found find_slot(struct smem_region *region, const char *pointer,
                                 struct smem_place *out)
{
    uint32_t slot = smem_region_slot_at(region, pointer);
    if (slot >= region->used || pointer != smem_slot_secret(region, slot))
        return SMEM_INTERIOR;
    out->slot = slot;
    return smem_slot_state(region, out->slot) == SMEM_SLOT_LIVE ? SMEM_FOUND : SMEM_FREED;
}

enum smem_found smem_place_acquire(const void *pointer, struct smem_place *place)
{
    smem_fork_check();
    struct smem_region *region = smem_registry_acquire(pointer);
    if (region == NULL)
        return smem_registry_was_freed(pointer) ? SMEM_FREED : SMEM_FOREIGN;
    *place = (struct smem_place){.region = region};
    enum smem_found found = SMEM_INTERIOR;
    if ((const char *)pointer >= region->base + region->lead_bytes)
        found = region->kind == SMEM_RUN ? find_packed(region, pointer, place)
                                         : find_slot(region, pointer, place);
    if (found != SMEM_FOUND)
        smem_unlock_stripe(smem_stripe_of(&region->object));
    return found;
}

void smem_place_release(const struct smem_place *place)
{
    smem_unlock_stripe(smem_stripe_of(&place->region->object));
}

void smem_place_forget(const struct smem_place *place)
{
    if (smem_place_is_packed(place))
        atomic_store_explicit(place->packed.word, smem_word_of(SMEM_WORD_FREE),
                              memory_order_relaxed);
    else
        smem_region_forget(place->region, place->slot);
}

int smem_place_need(const char *operation, const void *pointer, struct smem_place *place)
{
    switch (smem_place_acquire(pointer, place)) {
    case SMEM_FOUND:
        if (atomic_load(&place->region->object.state) == SMEM_REGION_LIVE)
            return 0;
        smem_place_release(place);
        return smem_error_argument(operation,
                                   "the secret was not inherited by this child");
    case SMEM_FREED:
        return smem_error_argument(operation, "the secret was freed");
    case SMEM_INTERIOR:
        return smem_error_argument(operation, "the pointer is not the start of a secret");
    case SMEM_FOREIGN:
        break;
    }
    return smem_error_argument(operation, "the pointer is not a secret of this library");
}

bool smem_place_is_wiped(const void *secret)
{
    struct smem_place place;
    if (smem_place_acquire(secret, &place) != SMEM_FOUND)
        return true; /* nor is it there */
    bool wiped = smem_slot_was_zeroed(place.region, place.slot);
    smem_place_release(&place);
    return wiped;
}
