/* SPDX-License-Identifier: ISC */
#include "secret/door.h"

#include <errno.h>

#include "region/error.h"
#include "region/fork.h"
#include "region/keys.h"
#include "secret/account.h"
#include "secret/thread_local.h"

/* The scopes of a thread, by key. */
struct own {
    uint16_t scopes;
    uint8_t access; /* the most that any of them asked for */
};

static SMEM_THREAD_LOCAL struct own own[SMEM_KERNEL_KEYS];

int smem_door_make(struct smem_door *door, securemem_policy wanted)
{
    if (wanted == SECUREMEM_OFF)
        return 0;
    bool preferred = wanted == SECUREMEM_PREFERRED;
    if (preferred)
        smem_error_hold();
    int result = smem_key_take(&door->key);
    if (preferred)
        smem_error_resume();
    if (result == 0 || !preferred)
        return result;
    door->pages = true;
    door->refused = -result;
    return 0;
}

void smem_door_leave(struct smem_door *door)
{
    if (door->key == 0)
        return;
    smem_rights_set(door->key, SMEM_ACCESS_NONE);
    if (own[door->key].scopes > 0)
        atomic_fetch_sub(&door->openers, 1);
    own[door->key].scopes = 0;
}

void smem_door_end(struct smem_door *door)
{
    if (atomic_load(&door->openers) == 0)
        smem_key_give(door->key);
}

void smem_door_inherit(struct smem_door *door)
{
    if (door->key != 0)
        atomic_store(&door->openers, own[door->key].scopes > 0);
}

unsigned smem_door_scopes(const struct smem_door *door)
{
    return door->key != 0 ? own[door->key].scopes : door->scopes;
}

static bool is_of_pages(const struct smem_region *region)
{
    return region->options.protection_key != SECUREMEM_OFF && region->key == 0;
}

int smem_door_reach(struct smem_region *region, uint32_t slot)
{
    return is_of_pages(region) ? smem_region_set_access(region, slot, SMEM_ACCESS_WRITE)
                               : 0;
}

int smem_door_shut(struct smem_region *region, uint32_t slot)
{
    const securemem_arena *arena = region->owner;
    return is_of_pages(region) ? smem_region_set_access(region, slot, arena->door.level)
                               : 0;
}

/* Scopes of all kinds are counted by 16 bits. */
static int refuse_more(const char *operation)
{
    return smem_error_own(operation, EOVERFLOW,
                          "65535 scopes are open on the arena; close some");
}

/*
 * A signal handler begins without rights, and may open and close a scope of its own
 * anywhere here: what is written before the rights makes it a nested one.
 */
static int open_by_key(const char *operation, struct smem_door *door,
                       enum smem_kernel_access access)
{
    struct own *mine = &own[door->key];
    if (mine->scopes == UINT16_MAX)
        return refuse_more(operation);
    if (mine->scopes == 0 || mine->access < access)
        mine->access = (uint8_t)access;
    if (mine->scopes++ == 0)
        atomic_fetch_add(&door->openers, 1);
    atomic_signal_fence(memory_order_seq_cst);
    smem_rights_set(door->key, mine->access);
    return 0;
}

static int close_by_key(const char *operation, struct smem_door *door)
{
    struct own *mine = &own[door->key];
    if (mine->scopes <= 1)
        smem_rights_set(door->key, SMEM_ACCESS_NONE);
    if (mine->scopes == 0)
        return smem_error_argument(operation,
                                   "this thread has no scope open on the arena");
    atomic_signal_fence(memory_order_seq_cst);
    if (--mine->scopes == 0)
        atomic_fetch_sub(&door->openers, 1);
    return 0;
}

struct setting {
    enum smem_kernel_access access;
    int result;
};

static void set_region(securemem_arena *arena, struct smem_region *region, void *context)
{
    (void)arena;
    struct setting *setting = context;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return;
    int result = smem_region_set_access_of_all(region, setting->access);
    if (result != 0)
        setting->result = result;
}

/* Pages of all secrets of the arena; those of later ones follow the level. */
static int set_level(securemem_arena *arena, enum smem_kernel_access access)
{
    struct setting setting = {.access = access};
    arena->door.level = access;
    smem_account_each(arena, set_region, &setting);
    return setting.result;
}

static int open_by_pages(const char *operation, securemem_arena *arena,
                         enum smem_kernel_access access)
{
    struct smem_door *door = &arena->door;
    enum smem_kernel_access before = door->level;
    if (door->scopes == UINT16_MAX)
        return refuse_more(operation);
    int result = access > before ? set_level(arena, access) : 0;
    if (result != 0) {
        smem_error_hold();
        (void)set_level(arena, before); /* refused, the next scope's end tries again */
        smem_error_resume();
        return result;
    }
    door->scopes++;
    return 0;
}

static int close_by_pages(const char *operation, securemem_arena *arena)
{
    struct smem_door *door = &arena->door;
    if (door->scopes == 0)
        return smem_error_argument(operation, "no scope is open on the arena");
    int result = door->scopes == 1 ? set_level(arena, SMEM_ACCESS_NONE) : 0;
    if (result == 0)
        door->scopes--;
    return result;
}

/* Locks the stripe of an arena whose door is of pages; else refuses. */
static int acquire_pages(const char *operation, securemem_arena *arena)
{
    if (!smem_arena_acquire(arena))
        return smem_error_argument(operation, "it is not a live arena");
    if (arena->door.pages)
        return 0;
    smem_arena_release(arena);
    return smem_error_own(operation, ENOTSUP,
                          "the arena was made without .protection_key");
}

int securemem_arena_open(securemem_arena *arena, securemem_access access)
{
    static const char operation[] = "securemem_arena_open";
    if (access != SECUREMEM_READ && access != SECUREMEM_WRITE)
        return smem_error_argument(
            operation, "access is neither SECUREMEM_READ nor SECUREMEM_WRITE");
    enum smem_kernel_access wanted = (enum smem_kernel_access)access;
    smem_fork_check();
    if (smem_arena_is_live(arena) && arena->door.key != 0)
        return open_by_key(operation, &arena->door, wanted);
    int result = acquire_pages(operation, arena);
    if (result != 0)
        return result;
    result = open_by_pages(operation, arena, wanted);
    smem_arena_release(arena);
    return result;
}

int securemem_arena_close(securemem_arena *arena)
{
    static const char operation[] = "securemem_arena_close";
    smem_fork_check();
    if (smem_arena_is_live(arena) && arena->door.key != 0)
        return close_by_key(operation, &arena->door);
    int result = acquire_pages(operation, arena);
    if (result != 0)
        return result;
    result = close_by_pages(operation, arena);
    smem_arena_release(arena);
    return result;
}
