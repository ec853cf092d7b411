/* SPDX-License-Identifier: ISC */
#include "region/registry.h"

#include <string.h>

#include "region/error.h"
#include "region/locks.h"
#include "region/metadata.h"

#define FIRST_CAPACITY 256U

/* Sorted by start, not overlapping; all below is guarded by the registry's lock. */
struct entry {
    uintptr_t start, end;
    struct smem_region *region;
    unsigned stripe;
};

static struct entry *entries;
static size_t count, capacity;

static uintptr_t freed[SMEM_FREED_REMEMBERED];
static size_t freed_next;

/* The index of the first entry that ends after address. */
static size_t position_of(uintptr_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow(void)
{
    size_t larger = capacity == 0 ? FIRST_CAPACITY : capacity * 2;
    void *moved;
    int result = smem_metadata_map(larger * sizeof *entries, &moved);
    if (result != 0)
        return result;
    if (count > 0) {
        memcpy(moved, entries, count * sizeof *entries);
        /* Refused, the old array stays as bookkeeping that nobody uses. */
        (void)smem_metadata_unmap(entries, capacity * sizeof *entries);
    }
    entries = moved;
    capacity = larger;
    return 0;
}

static void remove_at(size_t at)
{
    count--;
    memmove(&entries[at], &entries[at + 1], (count - at) * sizeof *entries);
}

/* The kernel gave out addresses of regions that this child did not inherit. */
static void evict(uintptr_t start, uintptr_t end)
{
    size_t at = position_of(start);
    while (at < count && entries[at].start < end)
        remove_at(at);
}

int smem_registry_add(struct smem_region *region)
{
    uintptr_t start = (uintptr_t)region->base, end = start + region->length;
    smem_lock_registry();
    int result = count == capacity ? grow() : 0;
    if (result == 0) {
        evict(start, end);
        size_t at = position_of(start);
        memmove(&entries[at + 1], &entries[at], (count - at) * sizeof *entries);
        entries[at] = (struct entry){start, end, region, region->stripe};
        count++;
    }
    smem_unlock_registry();
    return result;
}

void smem_registry_remove(const struct smem_region *region)
{
    smem_lock_registry();
    size_t at = position_of((uintptr_t)region->base);
    if (at < count && entries[at].region == region)
        remove_at(at);
    smem_unlock_registry();
}

static struct smem_region *find(uintptr_t address, unsigned *stripe)
{
    smem_lock_registry();
    size_t at = position_of(address);
    struct smem_region *region = NULL;
    if (at < count && entries[at].start <= address) {
        region = entries[at].region;
        *stripe = entries[at].stripe;
    }
    smem_unlock_registry();
    return region;
}

struct smem_region *smem_registry_acquire(const void *address)
{
    for (;;) {
        unsigned stripe, again;
        struct smem_region *region = find((uintptr_t)address, &stripe);
        if (region == NULL)
            return NULL;
        /* Until its stripe is held the region may end, and its object become another. */
        smem_lock_stripe(stripe);
        if (find((uintptr_t)address, &again) == region && again == stripe)
            return region;
        smem_unlock_stripe(stripe);
    }
}

void smem_registry_remember_freed(const void *secret)
{
    smem_lock_registry();
    freed[freed_next] = (uintptr_t)secret;
    freed_next = (freed_next + 1) % SMEM_FREED_REMEMBERED;
    smem_unlock_registry();
}

bool smem_registry_was_freed(const void *address)
{
    bool found = false;
    smem_lock_registry();
    for (size_t i = 0; i < SMEM_FREED_REMEMBERED && !found; i++)
        found = address != NULL && freed[i] == (uintptr_t)address;
    smem_unlock_registry();
    return found;
}
