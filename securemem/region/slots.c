/* SPDX-License-Identifier: ISC */
/* The slots of a region: committing, locking, keeping, giving back. See region.h. */
#include <errno.h>
#include <stdlib.h>

#include "region/commit.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/memlock.h"
#include "region/registry.h"
#include "region/secretmem.h"
#include "region/visit.h"

static void push(struct smem_region *region, uint32_t *head, uint32_t slot)
{
    region->slots[slot].next = *head;
    *head = slot;
}

static uint32_t pop(struct smem_region *region, uint32_t *head)
{
    uint32_t slot = *head;
    *head = region->slots[slot].next;
    return slot;
}

static int advise_slot(struct smem_region *region, uint32_t slot,
                       enum smem_kernel_advice advice, const char *operation)
{
    int result =
        smem_kernel_advise(smem_slot_data(region, slot), region->slot_bytes, advice);
    return result == 0 ? 0 : smem_error_kernel(operation, result, region->slot_bytes);
}

static int protect_slot(struct smem_region *region, uint32_t slot,
                        enum smem_kernel_access access)
{
    int result =
        smem_kernel_protect(smem_slot_data(region, slot), region->slot_bytes, access);
    return result == 0 ? 0 : smem_error_kernel("mprotect", result, region->slot_bytes);
}

/* Locks an accessible slot as the policy wants it. */
static int lock_by_policy(struct smem_region *region, uint32_t slot)
{
    if (!smem_region_wants_lock(region) || region->slots[slot].locked)
        return 0;
    int result = smem_slot_lock(region, slot);
    if (result != 0 && region->options.lock == SECUREMEM_PREFERRED) {
        region->slots[slot].lock_refused = (uint8_t)-result;
        return 0;
    }
    return result;
}

static int make_accessible(struct smem_region *region, uint32_t slot)
{
    if (region->kind == SMEM_GUARD_REGIONS)
        return advise_slot(region, slot, SMEM_ADVICE_GUARD_REMOVE,
                           "madvise(MADV_GUARD_REMOVE)");
    if (region->secret)
        return smem_secretmem_map(region, smem_slot_data(region, slot),
                                  region->slot_bytes);
    return protect_slot(region, slot, SMEM_ACCESS_WRITE);
}

static int make_inaccessible(struct smem_region *region, uint32_t slot)
{
    if (region->secret)
        return smem_secretmem_unmap(region, smem_slot_data(region, slot),
                                    region->slot_bytes);
    if (region->kind != SMEM_GUARD_REGIONS)
        return protect_slot(region, slot, SMEM_ACCESS_NONE);
    int result =
        smem_region_install_guard(smem_slot_data(region, slot), region->slot_bytes);
    return result == 0 ? 0
                       : smem_error_kernel("madvise(MADV_GUARD_INSTALL)", result,
                                           region->slot_bytes);
}

/* Brings an accessible slot into memory, so that a shortage is an errno and no signal. */
static int populate(struct smem_region *region, uint32_t slot)
{
    if (region->kind != SMEM_GUARD_REGIONS || !smem_region_wants_lock(region))
        return 0;
    return advise_slot(region, slot, SMEM_ADVICE_POPULATE,
                       "madvise(MADV_POPULATE_WRITE)");
}

/* The same for the first slot that was never handed out, and all of its batch behind it. */
static int populate_next(struct smem_region *region, uint32_t slot)
{
    if (slot < region->populated)
        return 0;
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    uint32_t count = committed - slot;
    if (count > SMEM_ADVISE_MOST)
        count = SMEM_ADVISE_MOST;
    bool wanted = region->kind == SMEM_GUARD_REGIONS && smem_region_wants_lock(region);
    if (wanted && count > 1 &&
        smem_kernel_advise_each(smem_slot_data(region, slot), region->slot_bytes,
                                smem_region_stride(region), count,
                                SMEM_ADVICE_POPULATE) == 0) {
        region->populated = slot + count;
        return 0;
    }
    return populate(region, slot); /* what keeps it out is told */
}

/* A slot that is not accessible becomes so, locked; on failure it is as before. */
static int bring_back(struct smem_region *region, uint32_t slot)
{
    int result = make_accessible(region, slot);
    if (result != 0)
        return result;
    result = lock_by_policy(region, slot);
    if (result != 0)
        goto undo;
    result = populate(region, slot);
    if (result != 0)
        goto undo;
    return 0;

    /* What stays open or locked after a refusal holds zeros and is tried again later. */
undo:
    smem_error_hold();
    (void)smem_slot_unlock(region, slot); /* where it is locked */
    (void)make_inaccessible(region, slot);
    smem_error_resume();
    return result;
}

static int take_idle(struct smem_region *region, uint32_t *out)
{
    uint32_t slot = region->idle_head;
    int result = lock_by_policy(region, slot); /* a fork may have taken the lock */
    if (result != 0)
        return result;
    *out = pop(region, &region->idle_head);
    region->idle--;
    return 0;
}

static int check_allowance(const struct smem_region *region, size_t allowance)
{
    if (region->slot_bytes <= allowance)
        return 0;
    return smem_error_budget(region->slot_bytes, region->options.budget,
                             region->options.budget - allowance);
}

/* A closed slot between guard regions still counts: it is still charged. */
static int take_returned(struct smem_region *region, size_t allowance, uint32_t *out)
{
    uint32_t slot = region->returned_head;
    bool counts = region->kind != SMEM_GUARD_REGIONS;
    int result = counts ? check_allowance(region, allowance) : 0;
    if (result == 0)
        result = bring_back(region, slot);
    if (result != 0)
        return result;
    region->held_bytes += counts ? region->slot_bytes : 0;
    *out = pop(region, &region->returned_head);
    region->returned--;
    return 0;
}

static int take_of_batch(struct smem_region *region, size_t allowance, uint32_t slot)
{
    int result = 0;
    if (slot == atomic_load_explicit(&region->committed, memory_order_relaxed))
        result = smem_region_grow(region, allowance);
    if (result == 0)
        result = lock_by_policy(region, slot);
    return result == 0 ? populate_next(region, slot) : result;
}

static int take_alone(struct smem_region *region, size_t allowance, uint32_t slot)
{
    int result = check_allowance(region, allowance);
    if (result == 0)
        result = bring_back(region, slot);
    if (result != 0)
        return result;
    atomic_store_explicit(&region->committed, slot + 1, memory_order_release);
    region->held_bytes += region->slot_bytes;
    return 0;
}

static int take_unused(struct smem_region *region, size_t allowance, uint32_t *out)
{
    uint32_t slot = region->used;
    int result = smem_region_batches(region) ? take_of_batch(region, allowance, slot)
                                             : take_alone(region, allowance, slot);
    if (result != 0)
        return result;
    region->used++;
    *out = slot;
    return 0;
}

static int take_closed(struct smem_region *region, size_t allowance, uint32_t *out)
{
    return region->returned > 0 ? take_returned(region, allowance, out)
                                : take_unused(region, allowance, out);
}

int smem_region_add_idle(struct smem_region *region, size_t allowance)
{
    uint32_t slot;
    int result = take_closed(region, allowance, &slot);
    if (result != 0)
        return result;
    smem_slot_set_state(region, slot, SMEM_SLOT_IDLE);
    push(region, &region->idle_head, slot);
    region->idle++;
    smem_region_check(region);
    return 0;
}

int smem_region_take(struct smem_region *region, size_t allowance, uint32_t *out)
{
    uint32_t slot;
    int result = region->idle > 0 ? take_idle(region, &slot)
                                  : take_closed(region, allowance, &slot);
    if (result != 0)
        return result;

    struct smem_slot *s = &region->slots[slot];
    atomic_store_explicit(&s->size, 0, memory_order_relaxed);
    atomic_store_explicit(&s->access, SMEM_ACCESS_WRITE, memory_order_relaxed);
    atomic_store_explicit(&s->align_log2, 0, memory_order_relaxed);
    s->resting_access = SMEM_ACCESS_WRITE;
    atomic_store_explicit(&s->open_scopes, 0, memory_order_relaxed);
    s->kept_wiped = false;
    s->epoch = smem_epoch();
    smem_slot_set_state(region, slot, SMEM_SLOT_LIVE);
    region->live++;
    smem_region_check(region);
    *out = slot;
    return 0;
}

void smem_region_keep(struct smem_region *region, uint32_t slot)
{
    if (region->secrets == NULL)
        smem_registry_remember_freed(smem_slot_secret(region, slot));
    smem_slot_end(&region->slots[slot], SMEM_SLOT_IDLE);
    push(region, &region->idle_head, slot);
    region->idle++;
    region->live--;
    smem_region_check(region);
}

void smem_region_forget(struct smem_region *region, uint32_t slot)
{
    if (region->secrets == NULL)
        smem_registry_remember_freed(smem_slot_secret(region, slot));
    smem_slot_set_state(region, slot, SMEM_SLOT_RETURNED);
    push(region, &region->returned_head, slot);
    region->returned++;
    region->live--;
    smem_region_check(region);
}

void smem_region_forget_idle(struct smem_region *region)
{
    while (region->idle > 0) {
        uint32_t slot = pop(region, &region->idle_head);
        region->idle--;
        push(region, &region->returned_head, slot);
        region->returned++;
        smem_slot_set_state(region, slot, SMEM_SLOT_RETURNED);
    }
}

/*
 * Guard regions cannot be installed under a lock, so the slot is unlocked, filled with
 * guards, which drops its pages, and locked again, which merges it with its neighbours:
 * it stays charged. Whether it is closed now goes to *closed.
 */
static int close_guard_region(struct smem_region *region, uint32_t slot, bool *closed)
{
    bool locked = region->slots[slot].locked;
    int result = smem_slot_unlock(region, slot);
    if (result != 0)
        return result;
    result = make_inaccessible(region, slot);
    *closed = result == 0;
    /* Refused, the slot stays unlocked and empty; whoever takes it locks it first. */
    if (locked && smem_slot_lock(region, slot) == 0 && !*closed) {
        smem_error_hold();
        (void)populate(region, slot); /* it may be in swap by now */
        smem_error_resume();
    }
    return result;
}

/* Access goes first: from then on the slot is closed, whatever else is refused. */
static int close_pages(struct smem_region *region, uint32_t slot, bool *closed)
{
    int result = make_inaccessible(region, slot);
    if (result != 0)
        return result;
    *closed = true;
    region->held_bytes -= region->slot_bytes;
    result = smem_slot_unlock(region, slot);
    if (result != 0 || region->secret)
        return result;
    return advise_slot(region, slot, SMEM_ADVICE_DONTNEED, "madvise(MADV_DONTNEED)");
}

int smem_region_return_idle(struct smem_region *region)
{
    uint32_t slot = region->idle_head;
    bool closed = false;
    int result = region->kind == SMEM_GUARD_REGIONS
                     ? close_guard_region(region, slot, &closed)
                     : close_pages(region, slot, &closed);
    if (closed) {
        (void)pop(region, &region->idle_head);
        region->idle--;
        push(region, &region->returned_head, slot);
        region->returned++;
        smem_slot_set_state(region, slot, SMEM_SLOT_RETURNED);
        smem_region_check(region);
    }
    return result;
}

void smem_region_bring_in(struct smem_region *region)
{
    for (uint32_t i = 0; i < region->used; i++) {
        unsigned char access =
            atomic_load_explicit(&region->slots[i].access, memory_order_relaxed);
        if (smem_slot_state(region, i) != SMEM_SLOT_RETURNED &&
            access == SMEM_ACCESS_WRITE)
            (void)smem_kernel_advise(smem_slot_data(region, i), region->slot_bytes,
                                     SMEM_ADVICE_POPULATE);
    }
}
