/* SPDX-License-Identifier: ISC */
/* The slots of a region: committing, locking, keeping, giving back. See region.h. */
#include <errno.h>
#include <stdlib.h>

#include "region/budget.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/region.h"
#include "region/registry.h"

/*
 * A batch of guard regions: at most so many slots and bytes at once, so that one call
 * does not pay for many, and the lock limit is not spent on slots that nobody asks for.
 */
#define BATCH_SLOTS 64U
#define BATCH_BYTES (1UL << 20)

static bool wants_lock(const struct smem_region *region)
{
    return region->options.lock != SECUREMEM_OFF;
}

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

static void set_state(struct smem_region *region, uint32_t slot,
                      enum smem_slot_state state)
{
    atomic_store_explicit(&region->slots[slot].state, (unsigned char)state,
                          memory_order_release);
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

/* The range of a batch: its slots with their trailing guards, and the first with both. */
static char *batch_start(const struct smem_region *region, uint32_t first)
{
    return first == 0 ? region->base : smem_slot_data(region, first);
}

static size_t batch_length(const struct smem_region *region, uint32_t first,
                           uint32_t slots)
{
    return slots * smem_region_stride(region) + (first == 0 ? region->guard_bytes : 0);
}

/*
 * Locks a range and asks the kernel whether it is locked: a C library, an emulator or a
 * sandbox may answer 0 and lock nothing.
 */
static int lock_range(const struct smem_region *region, char *start, size_t length)
{
    bool on_fault = region->kind == SMEM_GUARD_REGIONS;
    const char *operation = on_fault ? "mlock2" : "mlock";
    int result = on_fault ? smem_kernel_lock_on_fault(start, length)
                          : smem_kernel_lock(start, length);
    if (result == 0 && smem_kernel_is_locked(start, length) == 1)
        return 0;
    if (result == 0)
        result = smem_error_own(operation, ENOTSUP,
                                "the call succeeds, but the kernel has no lock there: a "
                                "sandbox or an emulator pretends to it");
    else
        result = smem_error_kernel(operation, result, length);
    /* A refused lock may have locked a part; if it stays so, it is charged, not lost. */
    (void)smem_kernel_unlock(start, length);
    return result;
}

int smem_slot_lock(struct smem_region *region, uint32_t slot)
{
    int result = lock_range(region, smem_slot_data(region, slot), region->slot_bytes);
    if (result != 0)
        return result;
    region->slots[slot].locked = true;
    region->slots[slot].lock_refused = 0;
    region->charged += region->slot_bytes;
    smem_budget_charge(region->slot_bytes);
    return 0;
}

int smem_region_lock_committed(struct smem_region *region)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    if (committed == 0)
        return 0;
    size_t length = batch_length(region, 0, committed);
    int result = lock_range(region, region->base, length);
    for (uint32_t i = 0; i < committed; i++) {
        region->slots[i].locked = result == 0;
        region->slots[i].lock_refused = (uint8_t)-result;
    }
    if (result == 0) {
        region->charged = length;
        smem_budget_charge(length);
    }
    return result;
}

static int unlock_slot(struct smem_region *region, uint32_t slot)
{
    if (!region->slots[slot].locked)
        return 0;
    int result = smem_kernel_unlock(smem_slot_data(region, slot), region->slot_bytes);
    if (result != 0)
        return smem_error_kernel("munlock", result, region->slot_bytes);
    region->slots[slot].locked = false;
    region->charged -= region->slot_bytes;
    smem_budget_discharge(region->slot_bytes);
    return 0;
}

/* Locks an accessible slot as the policy wants it. */
static int lock_by_policy(struct smem_region *region, uint32_t slot)
{
    if (!wants_lock(region) || region->slots[slot].locked)
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
    return protect_slot(region, slot, SMEM_ACCESS_WRITE);
}

static int make_inaccessible(struct smem_region *region, uint32_t slot)
{
    if (region->kind == SMEM_GUARD_REGIONS)
        return advise_slot(region, slot, SMEM_ADVICE_GUARD_INSTALL,
                           "madvise(MADV_GUARD_INSTALL)");
    return protect_slot(region, slot, SMEM_ACCESS_NONE);
}

/* Brings an accessible slot into memory, so that a shortage is an errno and no signal. */
static int populate(struct smem_region *region, uint32_t slot)
{
    if (region->kind != SMEM_GUARD_REGIONS || !wants_lock(region))
        return 0;
    return advise_slot(region, slot, SMEM_ADVICE_POPULATE,
                       "madvise(MADV_POPULATE_WRITE)");
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
    (void)unlock_slot(region, slot); /* where it is locked */
    (void)make_inaccessible(region, slot);
    smem_error_resume();
    return result;
}

/* Installs the guards of a batch, and asks the kernel whether they stop a read. */
static int install_guards(struct smem_region *region, uint32_t first, uint32_t slots)
{
    const char *guard = NULL;
    for (uint32_t i = first; i < first + slots; i++) {
        char *page = smem_slot_data(region, i) + region->slot_bytes;
        int result = smem_kernel_advise(page, region->page, SMEM_ADVICE_GUARD_INSTALL);
        if (result != 0)
            return smem_error_kernel("madvise(MADV_GUARD_INSTALL)", result, region->page);
        guard = page;
    }
    if (smem_kernel_is_readable(guard) != 0)
        return smem_error_own(
            "madvise(MADV_GUARD_INSTALL)", ENOTSUP,
            "the call succeeds, but the guard can be read: a sandbox or "
            "an emulator pretends to it");
    return 0;
}

/* Commits the next slots of guard regions; on failure nothing is committed. */
static int commit_batch(struct smem_region *region, uint32_t slots)
{
    uint32_t first = atomic_load_explicit(&region->committed, memory_order_relaxed);
    char *start = batch_start(region, first);
    size_t length = batch_length(region, first, slots);
    int result = smem_kernel_protect(start, length, SMEM_ACCESS_WRITE);
    if (result != 0)
        return smem_error_kernel("mprotect", result, length);
    result = install_guards(region, first, slots);
    if (result != 0)
        goto close;
    int refused = 0;
    if (wants_lock(region)) {
        result = lock_range(region, start, length);
        if (result != 0 && region->options.lock == SECUREMEM_REQUIRED)
            goto close;
        refused = -result;
    }
    bool locked = wants_lock(region) && refused == 0;
    for (uint32_t i = first; i < first + slots; i++) {
        region->slots[i].locked = locked;
        region->slots[i].lock_refused = (uint8_t)refused;
    }
    if (locked) {
        region->charged += length;
        smem_budget_charge(length);
    }
    region->held_bytes += length;
    atomic_store_explicit(&region->committed, first + slots, memory_order_release);
    return 0;

close:
    /* Zeros that nobody was given: accessible or not, the next batch starts there. */
    (void)smem_kernel_protect(start, length, SMEM_ACCESS_NONE);
    return result;
}

static uint32_t batch_slots(const struct smem_region *region)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    uint32_t slots = committed == 0 ? 1 : committed;
    uint32_t left = region->capacity - committed;
    size_t fit = BATCH_BYTES / smem_region_stride(region);
    if (slots > BATCH_SLOTS)
        slots = BATCH_SLOTS;
    if (slots > fit)
        slots = fit == 0 ? 1 : (uint32_t)fit;
    return slots < left ? slots : left;
}

/* The largest batch that the allowance and the kernel grant. */
static int grow_guard_regions(struct smem_region *region, size_t allowance)
{
    uint32_t first = atomic_load_explicit(&region->committed, memory_order_relaxed);
    int result = 0;
    for (uint32_t slots = batch_slots(region); slots > 0; slots /= 2) {
        size_t length = batch_length(region, first, slots);
        if (length > allowance) {
            result = smem_error_budget(length, region->options.budget,
                                       region->options.budget - allowance);
            continue;
        }
        result = commit_batch(region, slots);
        if (result != -ENOMEM && result != -EAGAIN)
            return result;
    }
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

/* Of the kinds that commit slot by slot: what a slot that is brought back counts. */
static int check_allowance(const struct smem_region *region, size_t allowance)
{
    if (region->kind == SMEM_GUARD_REGIONS || region->slot_bytes <= allowance)
        return 0;
    return smem_error_budget(region->slot_bytes, region->options.budget,
                             region->options.budget - allowance);
}

static void count_commitment(struct smem_region *region)
{
    if (region->kind != SMEM_GUARD_REGIONS)
        region->held_bytes += region->slot_bytes;
}

static int take_returned(struct smem_region *region, size_t allowance, uint32_t *out)
{
    uint32_t slot = region->returned_head;
    int result = check_allowance(region, allowance);
    if (result == 0)
        result = bring_back(region, slot);
    if (result != 0)
        return result;
    count_commitment(region);
    *out = pop(region, &region->returned_head);
    region->returned--;
    return 0;
}

static int take_unused(struct smem_region *region, size_t allowance, uint32_t *out)
{
    uint32_t slot = region->used;
    int result = check_allowance(region, allowance);
    if (result != 0)
        return result;
    if (region->kind != SMEM_GUARD_REGIONS) {
        result = bring_back(region, slot);
        if (result != 0)
            return result;
        atomic_store_explicit(&region->committed, slot + 1, memory_order_release);
    } else {
        if (slot == atomic_load_explicit(&region->committed, memory_order_relaxed))
            result = grow_guard_regions(region, allowance);
        if (result == 0)
            result = lock_by_policy(region, slot);
        if (result == 0)
            result = populate(region, slot);
        if (result != 0)
            return result;
    }
    count_commitment(region);
    region->used++;
    *out = slot;
    return 0;
}

int smem_region_take(struct smem_region *region, size_t allowance, uint32_t *out)
{
    uint32_t slot;
    int result;
    if (region->idle > 0)
        result = take_idle(region, &slot);
    else if (region->returned > 0)
        result = take_returned(region, allowance, &slot);
    else
        result = take_unused(region, allowance, &slot);
    if (result != 0)
        return result;

    struct smem_slot *s = &region->slots[slot];
    atomic_store_explicit(&s->size, 0, memory_order_relaxed);
    atomic_store_explicit(&s->access, SMEM_ACCESS_WRITE, memory_order_relaxed);
    atomic_store_explicit(&s->align_log2, 0, memory_order_relaxed);
    s->resting_access = SMEM_ACCESS_WRITE;
    s->open_scopes = 0;
    s->kept_wiped = false;
    s->epoch = smem_epoch();
    set_state(region, slot, SMEM_SLOT_LIVE);
    region->live++;
    smem_region_check(region);
    *out = slot;
    return 0;
}

void smem_region_keep(struct smem_region *region, uint32_t slot)
{
    smem_registry_remember_freed(smem_slot_secret(region, slot));
    set_state(region, slot, SMEM_SLOT_IDLE);
    push(region, &region->idle_head, slot);
    region->idle++;
    region->live--;
    smem_region_check(region);
}

void smem_region_forget(struct smem_region *region, uint32_t slot)
{
    smem_registry_remember_freed(smem_slot_secret(region, slot));
    set_state(region, slot, SMEM_SLOT_RETURNED);
    push(region, &region->returned_head, slot);
    region->returned++;
    region->live--;
    smem_region_check(region);
}

/*
 * Guard regions cannot be installed under a lock, so the slot is unlocked, filled with
 * guards, which drops its pages, and locked again, which merges it with its neighbours:
 * it stays charged. Whether it is closed now goes to *closed.
 */
static int close_guard_region(struct smem_region *region, uint32_t slot, bool *closed)
{
    bool locked = region->slots[slot].locked;
    int result = unlock_slot(region, slot);
    if (result != 0)
        return result;
    result = make_inaccessible(region, slot);
    *closed = result == 0;
    /* Refused, the slot stays unlocked and empty; whoever takes it locks it first. */
    if (locked)
        (void)smem_slot_lock(region, slot);
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
    result = unlock_slot(region, slot);
    if (result != 0)
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
        set_state(region, slot, SMEM_SLOT_RETURNED);
        smem_region_check(region);
    }
    return result;
}

int smem_region_set_access(struct smem_region *region, uint32_t slot,
                           enum smem_kernel_access access)
{
    if (atomic_load_explicit(&region->slots[slot].access, memory_order_relaxed) == access)
        return 0;
    int result = protect_slot(region, slot, access);
    if (result == 0)
        atomic_store(&region->slots[slot].access, (unsigned char)access);
    return result;
}
