/* SPDX-License-Identifier: ISC */
/* Arenas as their users see them: made, trimmed, destroyed. Slots are in guarded.c. */
#include "secret/arena.h"

#include <errno.h>
#include <sodium.h>

#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "secret/account.h"
#include "secret/cache.h"
#include "secret/canary.h"
#include "secret/depot.h"
#include "secret/misuse.h"
#include "secret/options.h"
#include "secret/packed.h"
#include "secret/random.h"

static struct smem_pool pool = {.object_size = sizeof(struct securemem_arena),
                                .lasting = offsetof(struct securemem_arena, options)};

/* Stripes are dealt out in turn. */
static atomic_uint next_stripe;
static _Atomic(securemem_arena *) default_arena;
static atomic_uint ended_arenas; /* in state ENDED */

/* A page that cannot be opened stays closed, with what is in it. */
static void inherit_page(struct smem_region *region, uint32_t slot)
{
    bool mapped = atomic_load(&region->object.state) == SMEM_REGION_LIVE;
    if (mapped && smem_door_reach(region, slot) != 0)
        return;
    smem_packed_inherit(region, slot);
    if (mapped)
        (void)smem_door_shut(region, slot); /* refused, it is open, and reported so */
}

/* Threads of the parent are not in its child: what they cached is idle. */
static void inherit_region(securemem_arena *arena, struct smem_region *region,
                           void *context)
{
    (void)context;
    bool mapped = atomic_load(&region->object.state) == SMEM_REGION_LIVE;
    for (uint32_t i = 0, used = region->used; i < used; i++) {
        enum smem_slot_state state = smem_slot_state(region, i);
        if (state == SMEM_SLOT_LIVE && region->kind == SMEM_RUN)
            inherit_page(region, i);
        if (state != SMEM_SLOT_CACHED)
            continue;
        if (!mapped) {
            smem_region_forget(region, i);
            continue;
        }
        sodium_memzero(smem_slot_data(region, i), region->slot_bytes);
        bool last = region->live == 1; /* it may end with its last slot */
        smem_arena_give_slot(arena, region, i);
        if (last)
            break;
    }
}

static void inherit_arena(void *object, void *context)
{
    securemem_arena *arena = object;
    unsigned stripe = smem_stripe_of(&arena->object);
    smem_lock_stripe(stripe);
    smem_door_inherit(&arena->door);
    smem_stripe_open(stripe, arena->door.key);
    arena->lent_bytes = 0;
    smem_depot_forget(arena);
    smem_account_recount(arena);
    smem_account_each(arena, inherit_region, context);
    smem_unlock_stripe(stripe);
}

static void inherit(void)
{
    smem_cache_inherit();
    smem_pool_each(&pool, inherit_arena, NULL);
}

/* The first broken canary that destroying meets, and whether something has to stay. */
struct ending {
    const void *broken;
    bool incomplete;
};

static void end_slot(struct smem_region *region, uint32_t slot, struct ending *ending)
{
    if (smem_arena_wipe_slot(region, slot, &ending->broken) != 0)
        ending->incomplete = true;
    else
        smem_region_keep(region, slot);
}

static void end_region(securemem_arena *arena, struct smem_region *region, void *context)
{
    struct ending *ending = context;
    /* A child that did not inherit its pages has only the bookkeeping to end. */
    bool mapped = atomic_load(&region->object.state) == SMEM_REGION_LIVE;
    for (uint32_t i = 0; i < region->used; i++) {
        enum smem_slot_state state = smem_slot_state(region, i);
        if (mapped && state != SMEM_SLOT_IDLE && state != SMEM_SLOT_RETURNED)
            end_slot(region, i, ending);
    }
    if ((!mapped || region->live == 0) && smem_account_end(arena, region) == 0)
        return;
    smem_arena_unlock_region(arena, region); /* recorded */
    ending->incomplete = true;
}

/* With the stripe held: wipes and releases what the kernel lets it. */
static void end(securemem_arena *arena, struct ending *ending)
{
    ending->incomplete = false;
    smem_account_each(arena, end_region, ending);
    if (ending->incomplete) {
        atomic_store(&arena->object.state, SMEM_ARENA_ENDED);
        atomic_fetch_add(&ended_arenas, 1);
    } else {
        smem_door_end(&arena->door);
        smem_depot_end(arena);
        smem_pool_give(&pool, arena);
    }
}

static void retry_ended(void *object, void *context)
{
    securemem_arena *arena = object;
    unsigned stripe = smem_stripe_of(&arena->object);
    smem_lock_stripe(stripe);
    if (smem_stripe_of(&arena->object) == stripe &&
        atomic_load(&arena->object.state) == SMEM_ARENA_ENDED) {
        atomic_fetch_sub(&ended_arenas, 1);
        smem_stripe_open(stripe, arena->door.key);
        end(arena, context);
    }
    smem_unlock_stripe(stripe);
}

/* Arenas that could not be destroyed: now, perhaps. */
static void retry_all_ended(void)
{
    if (atomic_load_explicit(&ended_arenas, memory_order_relaxed) == 0)
        return;
    struct ending ending = {0};
    smem_pool_each(&pool, retry_ended, &ending);
    if (ending.broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, ending.broken);
}

static int create(const securemem_arena_options *asked, enum smem_arena_state state,
                  securemem_arena **out)
{
    securemem_arena_options options = *asked;
    int result = smem_options_settle(&options);
    if (result == 0)
        result = smem_fork_ready();
    if (result == 0)
        result = smem_canary_ready();
    smem_fork_add_hook(inherit);
    void *object;
    if (result == 0)
        result = smem_pool_take(&pool, &object);
    if (result != 0)
        return result;
    securemem_arena *arena = object;
    result = smem_door_make(&arena->door, options.protection_key);
    if (result != 0) {
        smem_pool_give(&pool, arena);
        return result;
    }
    atomic_store_explicit(&arena->object.stripe,
                          atomic_fetch_add(&next_stripe, 1) % SMEM_STRIPES,
                          memory_order_relaxed);
    arena->options = options;
    arena->random = smem_random_seed();
    atomic_store(&arena->life, smem_account_serial());
    smem_account_renew_epoch(arena);
    atomic_store_explicit(&arena->object.state, state, memory_order_release);
    *out = arena;
    return 0;
}

securemem_arena *securemem_arena_create(const securemem_arena_options *options)
{
    smem_fork_check();
    static const securemem_arena_options defaults;
    securemem_arena *arena;
    retry_all_ended();
    int result = create(options == NULL ? &defaults : options, SMEM_ARENA_LIVE, &arena);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    return arena;
}

securemem_arena *securemem_default_arena(void)
{
    securemem_arena *arena = atomic_load_explicit(&default_arena, memory_order_acquire);
    if (arena != NULL)
        return arena;

    static const securemem_arena_options defaults;
    int result = create(&defaults, SMEM_ARENA_DEFAULT, &arena);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    securemem_arena *first = NULL;
    if (atomic_compare_exchange_strong(&default_arena, &first, arena))
        return arena;
    smem_pool_give(&pool, arena); /* another thread was first */
    return first;
}

static bool is_live(const securemem_arena *arena)
{
    int state = atomic_load(&arena->object.state);
    return state == SMEM_ARENA_LIVE || state == SMEM_ARENA_DEFAULT;
}

bool smem_arena_is_live(securemem_arena *arena)
{
    return smem_pool_has(&pool, arena) && is_live(arena);
}

bool smem_arena_acquire(securemem_arena *arena)
{
    smem_fork_check();
    if (!smem_pool_has(&pool, arena))
        return false;
    /* The object never moves; its stripe changes only when it becomes another arena. */
    unsigned stripe = smem_stripe_of(&arena->object);
    smem_lock_stripe(stripe);
    if (smem_stripe_of(&arena->object) == stripe && is_live(arena)) {
        smem_stripe_open(stripe, arena->door.key);
        return true;
    }
    smem_unlock_stripe(stripe);
    return false;
}

void smem_arena_release(securemem_arena *arena)
{
    smem_unlock_stripe(smem_stripe_of(&arena->object));
}

int securemem_arena_trim(securemem_arena *arena)
{
    if (!smem_arena_acquire(arena))
        return smem_error_argument("securemem_arena_trim", "it is not a live arena");
    const void *broken = NULL;
    smem_cache_recall(arena, &broken);
    arena->reserved_bytes = 0;
    int result = smem_arena_retry_and_trim(arena, &broken);
    smem_arena_release(arena);
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
    return result;
}

static void check_region(securemem_arena *arena, struct smem_region *region,
                         void *context)
{
    (void)arena;
    const void **broken = context;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return;
    for (uint32_t i = 0; i < region->used && *broken == NULL; i++)
        smem_arena_check_slot(region, i, broken);
}

int securemem_arena_check(securemem_arena *arena)
{
    static const char operation[] = "securemem_arena_check";
    if (!smem_arena_acquire(arena))
        return smem_error_argument(operation, "it is not a live arena");
    const void *broken = NULL;
    smem_account_each(arena, check_region, &broken);
    smem_arena_release(arena);
    if (broken == NULL)
        return 0;
    smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
    return smem_error_own(operation, EBADMSG,
                          "bytes around a secret were overwritten; free it and look for "
                          "what wrote there");
}

void securemem_arena_destroy(securemem_arena *arena)
{
    if (arena == NULL)
        return;
    int saved_errno = errno;
    struct ending ending = {0};
    retry_all_ended();
    if (smem_arena_is_live(arena))
        smem_door_leave(&arena->door);
    if (!smem_arena_acquire(arena)) {
        smem_misuse(SECUREMEM_MISUSE_NOT_AN_ARENA, arena);
    } else if (atomic_load(&arena->object.state) == SMEM_ARENA_DEFAULT) {
        smem_arena_release(arena);
        smem_misuse(SECUREMEM_MISUSE_NOT_AN_ARENA, arena);
    } else {
        unsigned stripe = smem_stripe_of(&arena->object);
        atomic_store(&arena->life, smem_account_serial());
        smem_account_renew_epoch(
            arena); /* caches of it are forgotten, they hold nothing */
        end(arena, &ending);
        smem_unlock_stripe(stripe);
    }
    if (ending.broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, ending.broken);
    errno = saved_errno;
}

/* The live secrets on a slot. */
static size_t secrets_on(const struct smem_region *region, uint32_t slot)
{
    if (smem_slot_state(region, slot) != SMEM_SLOT_LIVE)
        return 0;
    return region->kind == SMEM_RUN ? smem_packed_count(region, slot) : 1;
}

static void count_region(securemem_arena *arena, struct smem_region *region,
                         void *context)
{
    (void)arena;
    size_t *count = context;
    for (uint32_t i = 0; i < region->used; i++)
        *count += secrets_on(region, i);
}

static void count_arena(void *object, void *context)
{
    securemem_arena *arena = object;
    unsigned stripe = smem_stripe_of(&arena->object);
    smem_lock_stripe(stripe);
    if (smem_stripe_of(&arena->object) == stripe)
        smem_account_each(arena, count_region, context);
    smem_unlock_stripe(stripe);
}

size_t smem_arena_count_secrets(void)
{
    size_t count = 0;
    smem_pool_each(&pool, count_arena, &count);
    return count;
}
