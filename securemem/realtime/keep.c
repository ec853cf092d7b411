/* SPDX-License-Identifier: ISC */
#include "realtime/keep.h"

#include <errno.h>

#include "kernel/kernel.h"
#include "kernel/procfs.h"
#include "region/commit.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/memlock.h"
#include "region/metadata.h"
#include "region/ranges.h"
#include "region/registry.h"

/* Mappings that may be made between counting them and noting them. */
#define SPARE 64U

/* Calls visit with what of a range is not the library's own, until it gives not 0. */
static int each_foreign(uintptr_t start, uintptr_t end,
                        int (*visit)(uintptr_t start, uintptr_t end, void *context),
                        void *context)
{
    size_t page = smem_kernel_page_size();
    while (start < end) {
        struct smem_region *region =
            smem_registry_find((const void *)start); /* NOLINT: an address */
        if (region != NULL) {
            start = (uintptr_t)region->base + region->length;
            continue;
        }
        uintptr_t from = start;
        bool none =
            smem_registry_meet((const void *)start, end - start) == NULL; /* NOLINT */
        for (start = none ? end : start; start < end; start += page)
            if (smem_registry_find((const void *)start) != NULL) /* NOLINT */
                break;
        int result = visit(from, start < end ? start : end, context);
        if (result != 0)
            return result;
    }
    return 0;
}

static int note_free(uintptr_t start, uintptr_t end, void *context)
{
    struct smem_keeping *keeping = context;
    if (keeping->count == keeping->room)
        return -EAGAIN;
    keeping->kept[keeping->count++] = (struct smem_kept){start, end};
    return 0;
}

/* What is held stays by its count, for as long as that is not 0. */
static int note_one(uintptr_t start, uintptr_t end, void *context)
{
    return smem_range_each_free(start, end, note_free, context);
}

static int note_locked(const struct smem_proc_map *map, void *context)
{
    void *start = (void *)map->start; /* NOLINT: an address that the kernel gave */
    int locked = smem_kernel_is_locked(start, smem_kernel_page_size());
    if (locked == 0 || locked == -ENOMEM) /* unmapped meanwhile */
        return 0;
    if (locked < 0) /* what is not known would be unlocked in the end */
        return locked;
    return each_foreign(map->start, map->end, note_one, context);
}

int smem_keep_begin(struct smem_keeping *keeping)
{
    size_t mappings;
    int result = smem_proc_count_mappings(&mappings);
    if (result != 0)
        return smem_error_unreadable("/proc/self/maps", result);
    *keeping = (struct smem_keeping){.room = mappings + SPARE};
    void *kept;
    result = smem_metadata_map(keeping->room * sizeof *keeping->kept, &kept);
    if (result != 0)
        return result;
    keeping->kept = kept;
    result = smem_proc_each_map(note_locked, keeping);
    if (result == 0)
        return 0;
    smem_keep_end(keeping);
    return smem_error_unreadable("/proc/self/maps", result);
}

void smem_keep_end(struct smem_keeping *keeping)
{
    if (keeping->kept != NULL) /* refused, it stays mapped: bookkeeping */
        (void)smem_metadata_unmap(keeping->kept, keeping->room * sizeof *keeping->kept);
    *keeping = (struct smem_keeping){0};
}

size_t smem_keep_bytes(const struct smem_keeping *keeping)
{
    size_t bytes = smem_range_bytes();
    for (size_t i = 0; i < keeping->count; i++)
        bytes += keeping->kept[i].end - keeping->kept[i].start;
    return bytes;
}

/* The first refusal is remembered, and does not stop what follows. */
struct unlocking {
    const struct smem_keeping *keeping;
    int result;
};

static int unlock_free(uintptr_t start, uintptr_t end, void *context)
{
    struct unlocking *unlocking = context;
    int result = smem_kernel_unlock((void *)start, end - start); /* NOLINT: an address */
    /* What another thread unmapped meanwhile, or a mapping that cannot be locked. */
    if (result != 0 && result != -ENOMEM && unlocking->result == 0)
        unlocking->result = result;
    return 0;
}

static void unlock(struct unlocking *unlocking, uintptr_t start, uintptr_t end)
{
    (void)smem_range_each_free(start, end, unlock_free, unlocking);
}

static int unlock_foreign(uintptr_t start, uintptr_t end, void *context)
{
    struct unlocking *unlocking = context;
    const struct smem_keeping *keeping = unlocking->keeping;
    for (size_t i = 0; i < keeping->count && start < end; i++) {
        const struct smem_kept *kept = &keeping->kept[i];
        if (kept->end <= start || kept->start >= end)
            continue;
        unlock(unlocking, start, kept->start);
        start = kept->end;
    }
    unlock(unlocking, start, end);
    return 0;
}

static int unlock_map(const struct smem_proc_map *map, void *context)
{
    return each_foreign(map->start, map->end, unlock_foreign, context);
}

/* What the region has locked of its own, a stretch a call. */
static void each_locked(struct smem_region *region,
                        void (*visit)(void *context, char *start, char *end),
                        void *context)
{
    uint32_t committed = atomic_load(&region->committed);
    for (uint32_t i = 0; i < committed; i++) {
        if (!region->slots[i].locked)
            continue;
        uint32_t first = i;
        while (i + 1 < committed && region->slots[i + 1].locked &&
               smem_region_batches(region))
            i++;
        char *start = smem_batch_start(region, first);
        size_t length = smem_region_batches(region)
                            ? smem_batch_length(region, first, i + 1 - first)
                            : region->slot_bytes;
        visit(context, start, start + length);
    }
}

struct between {
    struct unlocking *unlocking;
    uintptr_t from;
};

static void unlock_between(void *context, char *start, char *end)
{
    struct between *between = context;
    unlock(between->unlocking, between->from, (uintptr_t)start);
    between->from = (uintptr_t)end;
}

static void unlock_rest_of(struct smem_region *region, void *context)
{
    struct between between = {.unlocking = context, .from = (uintptr_t)region->base};
    each_locked(region, unlock_between, &between);
    unlock(between.unlocking, between.from, (uintptr_t)region->base + region->length);
}

int smem_keep_unlock_rest(const struct smem_keeping *keeping)
{
    struct unlocking unlocking = {.keeping = keeping};
    int result = smem_proc_each_map(unlock_map, &unlocking);
    smem_region_each(unlock_rest_of, &unlocking);
    return result != 0 ? result : unlocking.result;
}

int smem_keep_unlock_range(const struct smem_keeping *keeping, uintptr_t start,
                           uintptr_t end)
{
    struct unlocking unlocking = {.keeping = keeping};
    smem_lock_ranges();
    (void)each_foreign(start, end, unlock_foreign, &unlocking);
    smem_unlock_ranges();
    return unlocking.result;
}

static void lock_stretch(void *context, char *start, char *end)
{
    int *result = context;
    int locked = smem_kernel_lock_on_fault(start, (size_t)(end - start));
    if (*result == 0)
        *result = locked;
}

static void lock_region(struct smem_region *region, void *context)
{
    each_locked(region, lock_stretch, context);
}

static int lock_held(uintptr_t start, uintptr_t end, void *context)
{
    lock_stretch(context, (char *)start, (char *)end); /* NOLINT: addresses */
    return 0;
}

int smem_keep_lock_again(const struct smem_keeping *keeping)
{
    int result = 0;
    smem_region_each(lock_region, &result);
    (void)smem_range_each_held(lock_held, &result);
    for (size_t i = 0; i < keeping->count; i++)
        lock_stretch(&result, (char *)keeping->kept[i].start, /* NOLINT: addresses */
                     (char *)keeping->kept[i].end);           /* NOLINT */
    return result;
}
