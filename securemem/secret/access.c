/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <securemem/access.h>

#include "kernel/hot.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "region/registry.h"
#include "secret/arena.h"
#include "secret/place.h"
#include "secret/scopes.h"
#include "secret/thread_local.h"

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
SMEM_HOT static int widen(struct smem_place place, enum smem_kernel_access access)
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
    result = atomic_load_explicit(&slot->open_scopes, memory_order_relaxed) > 0
                 ? widen(place, wanted)
                 : smem_region_set_access(place.region, place.slot, wanted);
    if (result == 0)
        slot->resting_access = (uint8_t)wanted;
    smem_place_release(&place);
    return result;
}

/* Where this thread opened or closed its last secret. Regions are never given back. */
static SMEM_THREAD_LOCAL struct smem_region *last;

SMEM_HOT static struct smem_region *region_of(const void *secret)
{
    if (!smem_region_holds(last, (uintptr_t)secret))
        last = smem_registry_find(secret);
    return last;
}

/*
 * Finds a live guarded secret that has access of its own. Without its stripe: the caller
 * has the secret, or it would not be its to open, and what is another then is told later.
 */
SMEM_HOT static bool find(const void *secret, struct smem_place *out)
{
    struct smem_region *region = region_of(secret);
    if (region == NULL || region->kind == SMEM_RUN ||
        region->options.protection_key != SECUREMEM_OFF ||
        atomic_load_explicit(&region->object.state, memory_order_relaxed) !=
            SMEM_REGION_LIVE)
        return false;
    uint32_t slot = smem_region_slot_at(region, secret);
    *out = (struct smem_place){.region = region, .slot = slot};
    return slot < atomic_load_explicit(&region->committed, memory_order_relaxed) &&
           smem_slot_state(region, slot) == SMEM_SLOT_LIVE &&
           smem_slot_secret(region, slot) == secret;
}

/* The same with its stripe held; else as need_own says. */
SMEM_HOT static int acquire(const char *operation, const void *secret,
                            struct smem_place *place)
{
    struct smem_place before;
    if (find(secret, &before)) {
        unsigned stripe = smem_stripe_of(&before.region->object);
        smem_lock_stripe(stripe);
        if (find(secret, place) && place->region == before.region &&
            smem_stripe_of(&place->region->object) == stripe)
            return 0;
        smem_unlock_stripe(stripe);
    }
    return need_own(operation, secret, place);
}

static smem_scopes *scopes_of(const struct smem_place *place)
{
    return &place->region->slots[place->slot].open_scopes;
}

/*
 * A flag of scopes: the pages can be written to. The access that is recorded is not yet
 * that of the pages while another thread is about to change it; without the lock it says
 * nothing.
 */
#define WRITABLE ((uint32_t)1 << 16)

/* With the stripe held, which keeps the last scope from being closed. */
SMEM_HOT static int open_locked(const char *operation, struct smem_place place,
                                enum smem_kernel_access access)
{
    smem_scopes *scopes = scopes_of(&place);
    uint32_t now = atomic_load_explicit(scopes, memory_order_relaxed);
    int result = smem_scopes_are_full(now) ? 0 : widen(place, access);
    if (result != 0)
        return result;
    uint32_t flags = current_access(place) == SMEM_ACCESS_WRITE ? WRITABLE : 0;
    do {
        if (smem_scopes_are_full(now))
            return smem_error_own(operation, EOVERFLOW,
                                  "65535 scopes are open on the secret; close some");
    } while (!atomic_compare_exchange_weak(scopes, &now, (now + 1) | flags));
    return 0;
}

SMEM_HOT static int open_slowly(const char *operation, void *secret,
                                securemem_access access)
{
    struct smem_place place;
    int result = acquire(operation, secret, &place);
    if (result != 0)
        return result;
    result = open_locked(operation, place, (enum smem_kernel_access)access);
    smem_unlock_stripe(smem_stripe_of(&place.region->object));
    return result;
}

/* With the stripe held: none is opened meanwhile but with it. */
SMEM_HOT static int close_locked(const char *operation, struct smem_place place)
{
    struct smem_slot *slot = &place.region->slots[place.slot];
    uint32_t now;
    do {
        if (smem_scopes_leave(&slot->open_scopes))
            return 0;
        now = atomic_load_explicit(&slot->open_scopes, memory_order_relaxed);
        if (now == 0)
            return smem_error_argument(operation, "no scope is open on the secret");
    } while ((now & SMEM_SCOPES_COUNT) != 1 ||
             !atomic_compare_exchange_strong(&slot->open_scopes, &now,
                                             now | SMEM_SCOPES_CLOSING));
    int result = smem_region_set_access(place.region, place.slot, slot->resting_access);
    atomic_store(&slot->open_scopes, result == 0 ? 0 : now);
    return result;
}

SMEM_HOT static int close_slowly(const char *operation, void *secret)
{
    struct smem_place place;
    int result = acquire(operation, secret, &place);
    if (result != 0)
        return result;
    result = close_locked(operation, place);
    smem_unlock_stripe(smem_stripe_of(&place.region->object));
    return result;
}

SMEM_HOT int securemem_open(void *secret, securemem_access access)
{
    static const char operation[] = "securemem_open";
    if (access != SECUREMEM_READ && access != SECUREMEM_WRITE)
        return smem_error_argument(
            operation, "access is neither SECUREMEM_READ nor SECUREMEM_WRITE");
    smem_fork_check();
    struct smem_place place;
    uint32_t needed = access == SECUREMEM_WRITE ? WRITABLE : 0;
    if (find(secret, &place) && smem_scopes_enter(scopes_of(&place), needed, 0))
        return 0;
    return open_slowly(operation, secret, access);
}

SMEM_HOT int securemem_close(void *secret)
{
    smem_fork_check();
    struct smem_place place;
    if (find(secret, &place) && smem_scopes_leave(scopes_of(&place)))
        return 0;
    return close_slowly("securemem_close", secret);
}
