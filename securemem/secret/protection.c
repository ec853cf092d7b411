/* SPDX-License-Identifier: ISC */
/* What the kernel says of a secret's pages, at this moment. */
#include <securemem/protection.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/procfs.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/inherit.h"
#include "region/keys.h"
#include "secret/arena.h"
#include "secret/place.h"
#include "secret/scopes.h"

#define WORD sizeof(uint64_t)

/* The flags that hold for all of [start, end), which may be more than one mapping. */
static int flags_of_range(const char *start, const char *end,
                          struct smem_proc_mapping *out)
{
    struct smem_proc_mapping all;
    int result = smem_proc_mapping_at(start, &all);
    while (result == 0 && all.end < (uintptr_t)end) {
        struct smem_proc_mapping next;
        result = smem_proc_mapping_at((const char *)all.end, &next);
        all.end = next.end;
        all.locked = all.locked && next.locked;
        all.not_dumped = all.not_dumped && next.not_dumped;
        all.wiped = all.wiped && next.wiped;
        all.not_forked = all.not_forked && next.not_forked;
        all.mergeable = all.mergeable || next.mergeable;
        all.secret = all.secret && next.secret;
        all.key = all.key == next.key ? all.key : 0;
        all.readable = all.readable && next.readable;
        all.writable = all.writable && next.writable;
    }
    if (result == 0)
        *out = all;
    return result;
}

/* By a probe of each page: a probe of many is true where one of them is locked. */
static bool is_locked(const struct smem_region *region, uint32_t slot)
{
    char *data = smem_slot_data(region, slot);
    for (size_t at = 0; at < region->slot_bytes; at += region->page)
        if (smem_kernel_is_locked(data + at, region->page) != 1)
            return false;
    return true;
}

/* Without smaps: a probe for the lock, and what the kernel accepted for the rest. */
static void flags_of_calls(const struct smem_region *region, uint32_t slot,
                           struct smem_proc_mapping *out)
{
    const securemem_arena_options *options = &region->options;
    bool fork = options->fork_safety != SECUREMEM_OFF && region->fork_refused == 0;
    *out = (struct smem_proc_mapping){
        .locked = is_locked(region, slot),
        .not_dumped = options->no_dump != SECUREMEM_OFF && region->no_dump_refused == 0,
        .wiped = fork && options->fork == SECUREMEM_FORK_WIPE,
        .not_forked = fork && options->fork == SECUREMEM_FORK_DROP,
        .mergeable = options->no_merge == SECUREMEM_OFF || region->no_merge_refused != 0,
        .secret = region->secret,
        .key = region->key,
    };
}

/* Those beside the slot; of a run those at its ends. */
static bool guards_hold(const struct smem_region *region, uint32_t slot)
{
    uint32_t end = slot + 1;
    if (region->kind == SMEM_RUN) {
        slot = 0;
        end = atomic_load_explicit(&region->committed, memory_order_relaxed);
    }
    const char *first = smem_slot_data(region, slot);
    const char *last = smem_slot_data(region, end) - region->guard_bytes;
    return region->lead_bytes > 0 && smem_kernel_is_readable(first - WORD) == 0 &&
           smem_kernel_is_readable(last) == 0;
}

static bool fork_safety_holds(const struct smem_region *region,
                              const struct smem_proc_mapping *flags)
{
    switch (region->options.fork) {
    case SECUREMEM_FORK_WIPE:
        return flags->wiped;
    case SECUREMEM_FORK_DROP:
        return flags->not_forked;
    case SECUREMEM_FORK_KEEP:
        break;
    }
    return region->options.fork_safety != SECUREMEM_OFF; /* an arena needs the handlers */
}

static bool is_inherited(const struct smem_place *place)
{
    if (!smem_place_is_packed(place))
        return place->region->slots[place->slot].epoch != smem_epoch();
    uint32_t word = atomic_load_explicit(place->packed.word, memory_order_relaxed);
    return smem_word_state(word) == SMEM_WORD_INHERITED ||
           atomic_load(&place->region->object.state) != SMEM_REGION_LIVE;
}

static securemem_inheritance inheritance_of(const struct smem_place *place)
{
    const struct smem_region *region = place->region;
    if (!is_inherited(place))
        return SECUREMEM_NATIVE;
    switch (smem_region_inheritance(region)) {
    case SMEM_INHERITS_ZEROS:
        return SECUREMEM_WIPED;
    case SMEM_INHERITS_NOTHING:
        return SECUREMEM_DROPPED;
    case SMEM_INHERITS_SECRETS:
        break;
    }
    return smem_slot_is_zeroed_here(region, place->slot) ? SECUREMEM_KEPT_WIPED
                                                         : SECUREMEM_KEPT;
}

static securemem_guard_kind guard_kind_of(const struct smem_region *region)
{
    switch (region->kind) {
    case SMEM_GUARD_PAGES:
    case SMEM_RUN:
        return SECUREMEM_GUARDS_PROT_NONE;
    case SMEM_GUARD_REGIONS:
        return SECUREMEM_GUARDS_REGION;
    case SMEM_UNGUARDED:
        break;
    }
    return SECUREMEM_GUARDS_AUTO;
}

/* Without scopes of the arena, its secrets are closed. */
static void describe_door(const struct smem_place *place, securemem_protection *out)
{
    const securemem_arena *arena = place->region->owner;
    if (!smem_door_is_there(&arena->door))
        return;
    out->protection_key.refused = arena->door.refused;
    out->resting_access = SECUREMEM_NONE;
    out->open_scopes = smem_door_scopes(&arena->door);
}

static void describe(const struct smem_place *place, securemem_protection *out)
{
    const struct smem_region *region = place->region;
    const struct smem_slot *s = &region->slots[place->slot];
    const securemem_arena_options *options = &region->options;
    memset(out, 0, sizeof *out);
    out->lock.asked = options->lock;
    out->lock.refused = s->lock_refused;
    out->guards.asked = options->guards;
    out->guards.refused = region->guards_refused;
    out->no_dump.asked = options->no_dump;
    out->no_dump.refused = region->no_dump_refused;
    out->fork_safety.asked = options->fork_safety;
    out->fork_safety.refused = region->fork_refused;
    out->no_merge.asked = options->no_merge;
    out->no_merge.refused = region->no_merge_refused;
    out->secret_memory.asked = options->secret_memory;
    out->secret_memory.refused = region->secret_memory_refused;
    out->protection_key.asked = options->protection_key;
    out->access = (securemem_access)atomic_load(&s->access);
    out->resting_access = (securemem_access)s->resting_access;
    out->open_scopes =
        atomic_load_explicit(&s->open_scopes, memory_order_relaxed) & SMEM_SCOPES_COUNT;
    describe_door(place, out);
    out->fork = options->fork;
    out->inheritance = inheritance_of(place);
    out->guard_kind = guard_kind_of(region);
    out->placement = smem_place_is_packed(place) ? SECUREMEM_PACKED : SECUREMEM_GUARDED;
    out->size = smem_place_size(place);
    out->alignment = (size_t)1 << smem_place_align_log2(place);
    out->pages_size = region->slot_bytes;
}

/* rights: those of the calling thread. */
static void ask_kernel(const struct smem_region *region, uint32_t slot, uint32_t rights,
                       securemem_protection *out)
{
    const char *data = smem_slot_data(region, slot);
    struct smem_proc_mapping flags;
    if (flags_of_range(data, data + region->slot_bytes, &flags) != 0) {
        out->witness = SECUREMEM_WITNESS_CALLS;
        flags_of_calls(region, slot, &flags);
    } else {
        out->access = flags.writable   ? SECUREMEM_WRITE
                      : flags.readable ? SECUREMEM_READ
                                       : SECUREMEM_NONE;
    }
    out->lock.holds = flags.locked;
    out->guards.holds = guards_hold(region, slot);
    out->no_dump.holds = flags.not_dumped;
    out->fork_safety.holds = fork_safety_holds(region, &flags);
    out->no_merge.holds = !flags.mergeable;
    out->secret_memory.holds = flags.secret;
    out->key = flags.key;
    out->protection_key.holds = region->key != 0 && flags.key == region->key;
    securemem_access allowed = (securemem_access)smem_rights_access(rights, flags.key);
    if (out->access > allowed)
        out->access = allowed;
}

int securemem_protection_of(const void *secret, securemem_protection *out)
{
    static const char operation[] = "securemem_protection";
    if (out == NULL)
        return smem_error_argument(operation, "out is NULL");
    uint32_t rights = smem_rights_now(); /* before the library gives itself more */
    struct smem_place place;
    if (smem_place_acquire(secret, &place) != SMEM_FOUND)
        return smem_error_argument(operation, "the pointer is not a live secret");
    describe(&place, out);
    if (atomic_load(&place.region->object.state) == SMEM_REGION_LIVE)
        ask_kernel(place.region, place.slot, rights, out);
    else
        out->access = SECUREMEM_NONE; /* there are no pages in this child */
    smem_place_release(&place);
    return 0;
}
