/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <securemem/access.h>

#include "region/error.h"
#include "secret/arena.h"
#include "secret/place.h"

_Static_assert((int)SECUREMEM_NONE == (int)SMEM_ACCESS_NONE &&
                   (int)SECUREMEM_READ == (int)SMEM_ACCESS_READ &&
                   (int)SECUREMEM_WRITE == (int)SMEM_ACCESS_WRITE,
               "the public access values are the kernel room's");

static enum smem_kernel_access current_access(struct smem_place place)
{
    return atomic_load_explicit(&place.region->slots[place.slot].access,
                                memory_order_relaxed);
}

/* Packed secrets share their pages; those behind a door are opened with it. */
static int need_own(const char *operation, const void *secret, struct smem_place *place)
{
    int result = smem_place_need(operation, secret, place);
    if (result != 0)
        return result;
    const securemem_arena *arena = place->region->owner;
    bool behind_door = smem_door_is_there(&arena->door);
    if (!behind_door && !smem_place_is_packed(place))
        return 0;
    smem_place_release(place);
    if (behind_door)
        return smem_error_own(operation, ENOTSUP,
                              "secrets of an arena with .protection_key are opened with "
                              "it; use securemem_arena_open");
    return smem_error_own(operation, ENOTSUP,
                          "packed secrets share pages and have no access of their own; "
                          "use an arena of SECUREMEM_GUARDED");
}

/* At least access, never less than scopes that are open already allow. */
static int widen(struct smem_place place, enum smem_kernel_access access)
{
    if (current_access(place) >= access)
        return 0;
    return smem_region_set_access(place.region, place.slot, access);
}

int securemem_set_access(void *secret, securemem_access access)
{
    static const char operation[] = "securemem_set_access";
    if ((unsigned)access > SECUREMEM_WRITE)
        return smem_error_argument(operation, "access is not one of securemem_access");
    struct smem_place place;
    int result = need_own(operation, secret, &place);
    if (result != 0)
        return result;
    struct smem_slot *slot = &place.region->slots[place.slot];
    enum smem_kernel_access wanted = (enum smem_kernel_access)access;
    result = slot->open_scopes > 0
                 ? widen(place, wanted)
                 : smem_region_set_access(place.region, place.slot, wanted);
    if (result == 0)
        slot->resting_access = (uint8_t)wanted;
    smem_place_release(&place);
    return result;
}

int securemem_open(void *secret, securemem_access access)
{
    static const char operation[] = "securemem_open";
    if (access != SECUREMEM_READ && access != SECUREMEM_WRITE)
        return smem_error_argument(
            operation, "access is neither SECUREMEM_READ nor SECUREMEM_WRITE");
    struct smem_place place;
    int result = need_own(operation, secret, &place);
    if (result != 0)
        return result;
    struct smem_slot *slot = &place.region->slots[place.slot];
    if (slot->open_scopes == UINT16_MAX)
        result = smem_error_own(operation, EOVERFLOW,
                                "65535 scopes are open on the secret; close some");
    else
        result = widen(place, (enum smem_kernel_access)access);
    if (result == 0)
        slot->open_scopes++;
    smem_place_release(&place);
    return result;
}

int securemem_close(void *secret)
{
    static const char operation[] = "securemem_close";
    struct smem_place place;
    int result = need_own(operation, secret, &place);
    if (result != 0)
        return result;
    struct smem_slot *slot = &place.region->slots[place.slot];
    if (slot->open_scopes == 0)
        result = smem_error_argument(operation, "no scope is open on the secret");
    else if (slot->open_scopes == 1)
        result = smem_region_set_access(place.region, place.slot, slot->resting_access);
    if (result == 0)
        slot->open_scopes--;
    smem_place_release(&place);
    return result;
}
