/* SPDX-License-Identifier: ISC */
/* Making and ending regions; region.h draws them. Slots are in slots.c. */
#include "region/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/keys.h"
#include "region/budget.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/registry.h"
#include "region/secretmem.h"
#include "region/visit.h"

static struct smem_pool pool = {.object_size = sizeof(struct smem_region),
                                .lasting = offsetof(struct smem_region, next)};

/*
 * Emulators accept every advice and do nothing (qemu-user 7.2 gives 0 for any number). Who
 * refuses one that does not exist, a kernel or a sandbox, means what it says of others.
 */
static bool advice_is_meant(const struct smem_region *region)
{
    return smem_kernel_advise(region->base, region->page, SMEM_ADVICE_UNKNOWN) != 0;
}

/* One piece of advice for the whole reservation, as its policy wants it. */
struct advice {
    const char *operation;
    securemem_policy policy;
    enum smem_kernel_advice advice;
    int *refused; /* gets the errno, unless the policy makes it an error */
};

static int advise(struct smem_region *region, bool meant, struct advice advice)
{
    if (advice.policy == SECUREMEM_OFF)
        return 0;
    int result = -EOPNOTSUPP;
    if (meant)
        result = smem_kernel_advise(region->base, region->length, advice.advice);
    /* A kernel without KSM does not know the advice, and merges nothing: it holds. */
    if (result == 0 || (result == -EINVAL && advice.advice == SMEM_ADVICE_UNMERGEABLE))
        return 0;
    result = smem_error_kernel(advice.operation, result, region->length);
    if (advice.policy == SECUREMEM_REQUIRED)
        return result;
    *advice.refused = -result;
    return 0;
}

static int advise_fork(struct smem_region *region, bool meant)
{
    struct advice advice = {.policy = region->options.fork_safety,
                            .refused = &region->fork_refused};
    switch (region->options.fork) {
    case SECUREMEM_FORK_WIPE:
        advice.operation = "madvise(MADV_WIPEONFORK)";
        advice.advice = SMEM_ADVICE_WIPEONFORK;
        return advise(region, meant, advice);
    case SECUREMEM_FORK_DROP:
        advice.operation = "madvise(MADV_DONTFORK)";
        advice.advice = SMEM_ADVICE_DONTFORK;
        return advise(region, meant, advice);
    case SECUREMEM_FORK_KEEP:
        break; /* the fork handlers do it */
    }
    return 0;
}

/* Protections that the whole reservation has before anything in it is accessible. */
static int advise_all(struct smem_region *region)
{
    bool meant = advice_is_meant(region);
    int result = advise(region, meant,
                        (struct advice){"madvise(MADV_DONTDUMP)", region->options.no_dump,
                                        SMEM_ADVICE_DONTDUMP, &region->no_dump_refused});
    if (result == 0)
        result = advise_fork(region, meant);
    if (result == 0)
        result =
            advise(region, meant,
                   (struct advice){"madvise(MADV_UNMERGEABLE)", region->options.no_merge,
                                   SMEM_ADVICE_UNMERGEABLE, &region->no_merge_refused});
    return result;
}

/*
 * Reserves addresses that no region has, not even one that a child did not inherit: its
 * pointers can still be freed, and no new secret may have their address. A placeholder
 * keeps them; where it was refused after the fork, it is made now, or nothing is.
 */
static int reserve_apart(size_t length, void **out)
{
    for (;;) {
        int result = smem_kernel_reserve(length, out);
        struct smem_region *met = result == 0 ? smem_registry_meet(*out, length) : NULL;
        if (met == NULL)
            return result;
        result = smem_kernel_unmap(*out, length);
        if (result != 0)
            return result;
        smem_lock_registry();
        result = smem_region_hold_place(met);
        smem_unlock_registry();
        if (result != 0)
            return result;
    }
}

/* What mprotect(2) makes of the reservation later keeps the key. */
static int give_key(struct smem_region *region)
{
    if (region->key == 0)
        return 0;
    int result = smem_kernel_key_protect(region->base, region->length, SMEM_ACCESS_NONE,
                                         region->key);
    return result == 0 ? 0 : smem_error_kernel("pkey_mprotect", result, region->length);
}

static int reserve(struct smem_region *region)
{
    void *base;
    int result = reserve_apart(region->length, &base);
    if (result != 0)
        return smem_error_kernel("mmap", result, region->length);
    region->base = base;

    /*
     * Under mlockall(MCL_FUTURE) it is born locked: guards are charged, and refused. A
     * sandbox that refuses to unlock what has no lock takes nothing away.
     */
    result = smem_kernel_unlock(region->base, region->length);
    if (result != 0 && smem_kernel_is_locked(region->base, region->length) != 0) {
        result = smem_error_kernel("munlock", result, region->length);
        goto unmap;
    }
    result = advise_all(region);
    if (result == 0)
        result = give_key(region);
    if (result == 0)
        result = smem_secretmem_decide(region);
    if (result != 0)
        goto unmap;
    if (region->kind == SMEM_GUARD_REGIONS) {
        result =
            smem_kernel_advise(region->base, region->page, SMEM_ADVICE_GUARD_INSTALL);
        if (result != 0) {
            result =
                smem_error_kernel("madvise(MADV_GUARD_INSTALL)", result, region->page);
            goto unmap;
        }
    }
    /*
     * The kernel copies pages into a huge one in the background, locked or not, and leaves
     * the old ones as they are. Where it refuses, it has no huge pages.
     */
    (void)smem_kernel_advise(region->base, region->length, SMEM_ADVICE_NO_HUGE);
    /* A name in maps helps whoever reads it and protects nothing: a kernel may lack it.
     */
    (void)smem_kernel_name(region->base, region->length, "securemem");
    return 0;

unmap:
    /* Nothing was ever accessible there; the first error is the one to tell. */
    (void)smem_kernel_unmap(region->base, region->length);
    return result;
}

static int lay_out(struct smem_region *region, const struct smem_region_plan *plan)
{
    region->owner = plan->owner;
    atomic_store_explicit(&region->object.stripe, plan->stripe, memory_order_relaxed);
    region->options = *plan->options;
    region->kind = plan->kind;
    region->guards_refused = plan->guards_refused;
    region->page = smem_kernel_page_size();
    region->page_log2 = (unsigned)__builtin_ctzl(region->page);
    region->capacity = plan->capacity;
    bool between = plan->kind == SMEM_GUARD_PAGES || plan->kind == SMEM_GUARD_REGIONS;
    region->guard_bytes = between ? region->page : 0;
    region->lead_bytes = plan->kind == SMEM_UNGUARDED ? 0 : region->page;
    region->stacks = plan->stacks;
    region->key = plan->key;
    region->secrets = plan->secrets;
    region->extra_bytes = plan->extra_bytes;
    region->clear_extra = plan->clear_extra;
    size_t around = region->lead_bytes + (plan->kind == SMEM_RUN ? region->page : 0);
    region->idle_head = region->returned_head = SMEM_NO_SLOT;
    size_t stride;
    if (__builtin_mul_overflow(plan->slot_pages, region->page, &region->slot_bytes) ||
        __builtin_add_overflow(region->slot_bytes, region->guard_bytes, &stride) ||
        __builtin_mul_overflow(stride, (size_t)plan->capacity, &region->length) ||
        __builtin_add_overflow(region->length, around, &region->length))
        return smem_error_own("mmap", ENOMEM,
                              "the size is larger than the address space");
    if (region->length < SMEM_REGION_LEAST)
        region->length = SMEM_REGION_LEAST;
    return 0;
}

/* Of the mapping behind a region, 0 for none: slots that have no room in it, then extra. */
static size_t mapped_slots_bytes(const struct smem_region *region)
{
    bool fit = region->capacity <= SMEM_INLINE_SLOTS;
    return fit ? 0 : region->capacity * sizeof *region->slots;
}

static size_t metadata_length(const struct smem_region *region)
{
    return mapped_slots_bytes(region) + region->capacity * region->extra_bytes;
}

static int map_metadata(struct smem_region *region)
{
    region->slots = region->inline_slots;
    size_t length = metadata_length(region), slots = mapped_slots_bytes(region);
    if (length == 0)
        return 0;
    void *start;
    int result = smem_metadata_take(length, &start);
    if (result != 0)
        return result;
    if (slots > 0)
        region->slots = start;
    region->extra = (char *)start + slots;
    return 0;
}

/* So many pages of a region leave little of the mapping in memory, and to be cleared. */
#define SPARED_PAGES 16U

/* What is refused stays as bookkeeping that nobody uses. */
static void unmap_metadata(struct smem_region *region)
{
    size_t length = metadata_length(region), slots = mapped_slots_bytes(region);
    if (length == 0)
        return;
    char *start = region->extra - slots;
    if (region->noted > SPARED_PAGES || region->clear_extra == NULL) {
        (void)smem_metadata_unmap(start, length);
        return;
    }
    if (slots > 0)
        memset(start, 0, region->noted * sizeof *region->slots);
    region->clear_extra(region);
    smem_metadata_give(start, length);
}

int smem_region_create(const struct smem_region_plan *plan, struct smem_region **out)
{
    void *object;
    int result = smem_pool_take(&pool, &object);
    if (result != 0)
        return result;
    struct smem_region *region = object;
    result = lay_out(region, plan);
    if (result != 0)
        goto give;
    result = map_metadata(region);
    if (result != 0)
        goto give;
    result = reserve(region);
    if (result != 0)
        goto unmap_metadata;
    result = smem_registry_add(region);
    if (result != 0)
        goto unmap;
    atomic_store_explicit(&region->object.state, SMEM_REGION_LIVE, memory_order_release);
    *out = region;
    return 0;

    /* Undoing an empty region: what the kernel refuses to take back holds nothing. */
unmap:
    (void)smem_kernel_unmap(region->base, region->length);
unmap_metadata:
    unmap_metadata(region);
give:
    smem_pool_give(&pool, region);
    return result;
}

static int unmap(struct smem_region *region)
{
    atomic_store(&region->object.state, SMEM_REGION_ENDING);
    while (smem_visit_is_on())
        smem_kernel_yield();
    int result = smem_kernel_unmap(region->base, region->length);
    if (result == 0) {
        smem_registry_remove(region);
        return 0;
    }
    result = smem_error_kernel("munmap", result, region->length);
    region->retired = true;
    atomic_store(&region->object.state, SMEM_REGION_LIVE);
    return result;
}

int smem_region_hold_place(struct smem_region *region)
{
    if (atomic_load(&region->object.state) != SMEM_REGION_GONE || region->placeholder ||
        smem_registry_find(region->base) != region)
        return 0;
    int result = smem_kernel_reserve_at(region->base, region->length);
    region->placeholder = result == 0;
    return result;
}

int smem_region_release(struct smem_region *region)
{
    if (atomic_load(&region->object.state) == SMEM_REGION_LIVE) {
        int result = unmap(region); /* unlocks as well, and ends the charge */
        if (result != 0)
            return result;
    } else {
        smem_registry_remove(region);
        if (region->placeholder)
            (void)smem_kernel_unmap(region->base, region->length); /* it holds nothing */
    }
    smem_budget_discharge(region->charged);
    unmap_metadata(region);
    smem_pool_give(&pool, region);
    return 0;
}

void smem_region_unlock(struct smem_region *region)
{
    if (region->secret)
        return; /* locked for as long as it is mapped */
    if (smem_kernel_unlock(region->base, region->length) != 0)
        return;
    for (uint32_t i = 0; i < region->committed; i++)
        region->slots[i].locked = false;
    smem_budget_discharge(region->charged);
    region->charged = 0;
}

bool smem_region_has_room(const struct smem_region *region)
{
    return !region->retired && region->live < region->capacity;
}

struct visit {
    void (*visit)(struct smem_region *region, void *context);
    void *context;
};

/* One that is ENDING may have seen no visitor, and its bookkeeping may be going. */
static void visit_live(void *object, void *context)
{
    struct smem_region *region = object;
    const struct visit *visit = context;
    if (atomic_load(&region->object.state) == SMEM_REGION_LIVE)
        visit->visit(region, visit->context);
}

void smem_region_each(void (*visit)(struct smem_region *region, void *context),
                      void *context)
{
    smem_visit_begin();
    smem_pool_each(&pool, visit_live, &(struct visit){visit, context});
    smem_visit_end();
}

void smem_region_each_last(void (*visit)(struct smem_region *region, void *context),
                           void *context)
{
    smem_visit_begin_last();
    smem_pool_each(&pool, visit_live, &(struct visit){visit, context});
    smem_visit_end();
}

bool smem_region_is_used(const struct smem_region *region, const char *address)
{
    size_t lead = (size_t)(smem_slot_data(region, 0) - region->base);
    size_t offset = (size_t)(address - region->base);
    if (offset < lead)
        return false;
    size_t slot = (offset - lead) / smem_region_stride(region);
    if (slot >= region->used ||
        (offset - lead) % smem_region_stride(region) >= region->slot_bytes)
        return false;
    return smem_slot_state(region, (uint32_t)slot) != SMEM_SLOT_RETURNED;
}

void smem_region_check(const struct smem_region *region)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    bool holds = region->used <= committed && committed <= region->capacity &&
                 region->live + region->idle + region->returned == region->used &&
                 (region->idle == 0) == (region->idle_head == SMEM_NO_SLOT) &&
                 (region->returned == 0) == (region->returned_head == SMEM_NO_SLOT) &&
                 region->charged <= region->length;
    if (!holds)
        abort();
}
