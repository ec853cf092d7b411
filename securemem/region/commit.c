/* SPDX-License-Identifier: ISC */
#include "region/commit.h"

#include <errno.h>

#include "region/error.h"
#include "region/memlock.h"
#include "region/secretmem.h"

/*
 * A batch: at most so many bytes at once, and slots between guard regions, so that one
 * call does not pay for many, and the lock limit is not spent on what nobody asks for.
 */
#define BATCH_SLOTS SMEM_ADVISE_MOST
#define BATCH_BYTES (1UL << 20)

/* mlockall(2) locks a reservation too, and a locked range takes no guards. */
int smem_region_install_guard(void *start, size_t length)
{
    int result = smem_kernel_advise(start, length, SMEM_ADVICE_GUARD_INSTALL);
    if (result != -EINVAL || smem_kernel_is_locked(start, length) != 1 ||
        smem_kernel_unlock(start, length) != 0)
        return result;
    return smem_kernel_advise(start, length, SMEM_ADVICE_GUARD_INSTALL);
}

/* As many by one call as it takes; by one each where the kernel, or a lock, is in its way. */
int smem_region_install_guards(struct smem_region *region, uint32_t first, uint32_t slots)
{
    size_t stride = smem_region_stride(region);
    char *guard = smem_slot_data(region, first) + region->slot_bytes;
    for (uint32_t done = 0, now; done < slots; done += now, guard += now * stride) {
        now = slots - done < SMEM_ADVISE_MOST ? slots - done : SMEM_ADVISE_MOST;
        int result = smem_kernel_advise_each(guard, region->page, stride, now,
                                             SMEM_ADVICE_GUARD_INSTALL);
        for (uint32_t i = 0; i < now && result != 0; i++) {
            int alone = smem_region_install_guard(guard + i * stride, region->page);
            if (alone != 0)
                return alone;
        }
    }
    return 0;
}

/* Installs the guards of a batch, and asks the kernel whether they stop a read. */
static int install_guards(struct smem_region *region, uint32_t first, uint32_t slots)
{
    int result = smem_region_install_guards(region, first, slots);
    if (result != 0)
        return smem_error_kernel("madvise(MADV_GUARD_INSTALL)", result, region->page);
    if (smem_kernel_is_readable(smem_slot_data(region, first + slots - 1) +
                                region->slot_bytes) != 0)
        return smem_error_own(
            "madvise(MADV_GUARD_INSTALL)", ENOTSUP,
            "the call succeeds, but the guard can be read: a sandbox or "
            "an emulator pretends to it");
    return 0;
}

static int open_range(struct smem_region *region, char *start, size_t length)
{
    if (region->secret)
        return smem_secretmem_map(region, start, length);
    int result = smem_kernel_protect(start, length, SMEM_ACCESS_WRITE);
    return result == 0 ? 0 : smem_error_kernel("mprotect", result, length);
}

static int close_range(struct smem_region *region, char *start, size_t length)
{
    if (region->secret)
        return smem_secretmem_unmap(region, start, length);
    int result = smem_kernel_protect(start, length, SMEM_ACCESS_NONE);
    return result == 0 ? 0 : smem_error_kernel("mprotect", result, length);
}

/* Commits the next slots. */
static int commit_batch(struct smem_region *region, uint32_t slots)
{
    uint32_t first = atomic_load_explicit(&region->committed, memory_order_relaxed);
    char *start = smem_batch_start(region, first);
    size_t length = smem_batch_length(region, first, slots);
    int result = open_range(region, start, length);
    if (result != 0)
        return result;
    if (region->kind == SMEM_GUARD_REGIONS) {
        result = install_guards(region, first, slots);
        if (result != 0)
            goto close;
    }
    if (region->noted < first + slots)
        region->noted = first + slots;
    if (smem_region_wants_lock(region)) {
        result = smem_region_lock_batch(region, first, slots);
        if (result != 0 && region->options.lock == SECUREMEM_REQUIRED)
            goto close;
    }
    region->held_bytes += length;
    atomic_store_explicit(&region->committed, first + slots, memory_order_release);
    return 0;

close:
    /* Zeros that nobody was given: accessible or not, the next batch starts there. */
    smem_error_hold();
    int closed = close_range(region, start, length);
    smem_error_resume();
    if (closed == 0 || region->kind != SMEM_RUN)
        return result;
    /* But a run ends at its guard: what stays accessible is of it, to be locked first. */
    region->held_bytes += length;
    atomic_store_explicit(&region->committed, first + slots, memory_order_release);
    return result;
}

static uint32_t batch_slots(const struct smem_region *region)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    uint32_t slots = committed == 0 ? 1 : committed;
    uint32_t left = region->capacity - committed;
    size_t fit = BATCH_BYTES / smem_region_stride(region);
    if (slots > BATCH_SLOTS && region->kind == SMEM_GUARD_REGIONS)
        slots = BATCH_SLOTS;
    if (slots > fit)
        slots = fit == 0 ? 1 : (uint32_t)fit;
    return slots < left ? slots : left;
}

int smem_region_grow(struct smem_region *region, size_t allowance)
{
    int result = 0;
    for (uint32_t slots = batch_slots(region); slots > 0; slots /= 2) {
        uint32_t first = atomic_load_explicit(&region->committed, memory_order_relaxed);
        if (slots > region->capacity - first)
            continue;
        size_t length = smem_batch_length(region, first, slots);
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

/*
 * Of a run alone: between guard regions what was committed stays charged until the region
 * ends, and the other kinds commit what they hand out.
 */
int smem_region_return_unused(struct smem_region *region)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    uint32_t slots = committed - region->used;
    if (region->kind != SMEM_RUN || slots == 0)
        return 0;
    char *start = smem_slot_data(region, region->used);
    size_t length = slots * region->slot_bytes;
    int result = close_range(region, start, length);
    if (result != 0)
        return result;
    atomic_store_explicit(&region->committed, region->used, memory_order_release);
    region->held_bytes -= length;
    result = smem_region_unlock_batch(region, region->used, slots);
    if (result != 0 || region->secret)
        return result;
    result = smem_kernel_advise(start, length, SMEM_ADVICE_DONTNEED);
    return result == 0 ? 0 : smem_error_kernel("madvise(MADV_DONTNEED)", result, length);
}
