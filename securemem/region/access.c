/* SPDX-License-Identifier: ISC */
/* What the pages of slots allow. */
#include "kernel/hot.h"
#include "region/error.h"
#include "region/region.h"

/*
 * What is recorded goes first: a wiper that opens the pages meanwhile puts back what it
 * finds recorded afterwards.
 */
SMEM_HOT static int set_access(struct smem_region *region, uint32_t first, uint32_t end,
                               size_t length, enum smem_kernel_access access)
{
    unsigned char before =
        atomic_load_explicit(&region->slots[first].access, memory_order_relaxed);
    for (uint32_t i = first; i < end; i++)
        atomic_store(&region->slots[i].access, (unsigned char)access);
    int result = smem_kernel_protect(smem_slot_data(region, first), length, access);
    if (result == 0)
        return 0;
    for (uint32_t i = first; i < end; i++)
        atomic_store(&region->slots[i].access, before);
    return smem_error_kernel("mprotect", result, length);
}

SMEM_HOT int smem_region_set_access(struct smem_region *region, uint32_t slot,
                                    enum smem_kernel_access access)
{
    if (atomic_load_explicit(&region->slots[slot].access, memory_order_relaxed) == access)
        return 0;
    return set_access(region, slot, slot + 1, region->slot_bytes, access);
}

/* Whether the slot is LIVE and allows just that. */
static bool allows(const struct smem_region *region, uint32_t slot, unsigned char access)
{
    return smem_slot_state(region, slot) == SMEM_SLOT_LIVE &&
           atomic_load_explicit(&region->slots[slot].access, memory_order_relaxed) ==
               access;
}

/*
 * Where the next slots that are LIVE and allow the same end. A guard region between them
 * is of their mapping, and stays a guard whatever the mapping allows.
 */
static uint32_t end_of_same(const struct smem_region *region, uint32_t first)
{
    unsigned char access =
        atomic_load_explicit(&region->slots[first].access, memory_order_relaxed);
    uint32_t end = first + 1;
    while (region->kind != SMEM_GUARD_PAGES && end < region->used &&
           allows(region, end, access))
        end++;
    return end;
}

int smem_region_set_access_of_all(struct smem_region *region,
                                  enum smem_kernel_access access)
{
    int result = 0;
    for (uint32_t i = 0, end; i < region->used; i = end) {
        end = i + 1;
        if (smem_slot_state(region, i) != SMEM_SLOT_LIVE ||
            allows(region, i, (unsigned char)access))
            continue;
        end = end_of_same(region, i);
        size_t length = (end - i) * smem_region_stride(region) - region->guard_bytes;
        int set = set_access(region, i, end, length, access);
        if (set != 0)
            result = set;
    }
    return result;
}
