/* SPDX-License-Identifier: ISC */
#include "secret/place.h"

#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "region/registry.h"

static enum smem_found find_slot(const struct smem_region *region, const char *pointer,
                                 uint32_t *out)
{
    if (pointer < region->base + region->guard_bytes)
        return SMEM_INTERIOR;
    size_t offset = (size_t)(pointer - region->base) - region->guard_bytes;
    size_t slot = offset / smem_region_stride(region);
    if (slot >= region->used || pointer != smem_slot_secret(region, (uint32_t)slot))
        return SMEM_INTERIOR;
    *out = (uint32_t)slot;
    return smem_slot_state(region, *out) == SMEM_SLOT_LIVE ? SMEM_FOUND : SMEM_FREED;
}

enum smem_found smem_place_acquire(const void *pointer, struct smem_place *place)
{
    smem_fork_check();
    struct smem_region *region = smem_registry_acquire(pointer);
    if (region == NULL)
        return smem_registry_was_freed(pointer) ? SMEM_FREED : SMEM_FOREIGN;
    uint32_t slot;
    enum smem_found found = find_slot(region, pointer, &slot);
    if (found != SMEM_FOUND)
        smem_unlock_stripe(smem_stripe_of(&region->object));
    else
        *place = (struct smem_place){.region = region, .slot = slot};
    return found;
}

void smem_place_release(const struct smem_place *place)
{
    smem_unlock_stripe(smem_stripe_of(&place->region->object));
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
