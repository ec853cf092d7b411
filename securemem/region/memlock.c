/* SPDX-License-Identifier: ISC */
#include "region/memlock.h"

#include <errno.h>

#include "region/budget.h"
#include "region/error.h"

int smem_region_lock_range(const struct smem_region *region, char *start, size_t length)
{
    if (region->secret)
        return 0; /* it was born locked */
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
    int result =
        smem_region_lock_range(region, smem_slot_data(region, slot), region->slot_bytes);
    if (result != 0)
        return result;
    region->slots[slot].locked = true;
    region->slots[slot].lock_refused = 0;
    region->charged += region->slot_bytes;
    smem_budget_charge(region->slot_bytes);
    return 0;
}

int smem_slot_unlock(struct smem_region *region, uint32_t slot)
{
    if (!region->slots[slot].locked)
        return 0;
    int result = region->secret ? 0
                                : smem_kernel_unlock(smem_slot_data(region, slot),
                                                     region->slot_bytes);
    if (result != 0)
        return smem_error_kernel("munlock", result, region->slot_bytes);
    region->slots[slot].locked = false;
    region->charged -= region->slot_bytes;
    smem_budget_discharge(region->slot_bytes);
    return 0;
}

/* Slots that have been accessible and are not closed now. */
static bool is_accessible(const struct smem_region *region, uint32_t slot)
{
    return smem_slot_state(region, slot) != SMEM_SLOT_RETURNED;
}

static void note(struct smem_region *region, uint32_t first, uint32_t end, int result)
{
    for (uint32_t i = first; i < end; i++) {
        region->slots[i].locked = result == 0;
        region->slots[i].lock_refused = (uint8_t)-result;
    }
}

int smem_region_lock_batch(struct smem_region *region, uint32_t first, uint32_t slots)
{
    size_t length = smem_batch_length(region, first, slots);
    int result = smem_region_lock_range(region, smem_batch_start(region, first), length);
    note(region, first, first + slots, result);
    if (result == 0) {
        region->charged += length;
        smem_budget_charge(length);
    }
    return result;
}

int smem_region_lock_run(struct smem_region *region, uint32_t *at, uint32_t *first)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    while (*at < committed && !is_accessible(region, *at))
        (*at)++;
    *first = *at;
    while (*at < committed && is_accessible(region, *at))
        (*at)++;
    return *first == *at ? 0 : smem_region_lock_batch(region, *first, *at - *first);
}

int smem_region_unlock_batch(struct smem_region *region, uint32_t first, uint32_t slots)
{
    size_t length = smem_batch_length(region, first, slots);
    int result =
        region->secret ? 0 : smem_kernel_unlock(smem_batch_start(region, first), length);
    if (result != 0)
        return smem_error_kernel("munlock", result, length);
    for (uint32_t i = first; i < first + slots; i++) {
        size_t bytes = region->slots[i].locked ? region->slot_bytes : 0;
        region->slots[i].locked = false;
        region->charged -= bytes;
        smem_budget_discharge(bytes);
    }
    return 0;
}
