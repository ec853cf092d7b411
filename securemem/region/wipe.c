/* SPDX-License-Identifier: ISC */
#include "region/wipe.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>

#include "kernel/kernel.h"
#include "region/keys.h"
#include "region/region.h"
#include "region/visit.h"

/* Each try meets another thread that closes the same secret; this many are not chance. */
#define TRIES 100

static atomic_uint wipes;

struct wiper {
    enum smem_wipe_extent extent;
    bool stacks; /* at these now, and at nothing else */
    bool counted;
    int zeros; /* a descriptor of /dev/zero, or a negative errno */
    size_t failed;
};

/*
 * Another thread may take the access away between mprotect and the writing. read(2) from
 * /dev/zero then gives EFAULT where a store would end the process before the other
 * secrets are wiped. Without /dev/zero it has to be the store.
 */
static int overwrite(const struct wiper *wiper, char *start, size_t length)
{
    if (wiper->zeros < 0) {
        sodium_memzero(start, length);
        return 0;
    }
    while (length > 0) {
        long count = smem_kernel_read(wiper->zeros, start, length);
        if (count == -EINTR)
            continue;
        if (count == -EFAULT)
            return -EFAULT;
        if (count <= 0) { /* a sandbox refuses it, or it is not /dev/zero */
            sodium_memzero(start, length);
            return 0;
        }
        start += count;
        length -= (size_t)count;
    }
    return 0;
}

/* Puts back what the pages allowed; repeats when another thread changed it meanwhile. */
static void restore_access(struct smem_region *region, uint32_t slot)
{
    unsigned char before = SMEM_ACCESS_WRITE, now;
    while ((now = atomic_load(&region->slots[slot].access)) != before) {
        if (smem_kernel_protect(smem_slot_data(region, slot), region->slot_bytes, now) !=
            0) {
            /* It stays accessible, and holds zeros. */
            (void)atomic_compare_exchange_strong(&region->slots[slot].access, &now,
                                                 before);
            return;
        }
        before = now;
    }
}

struct stretch {
    const struct wiper *wiper;
    bool wiped;
};

static void wipe_stretch(void *context, char *start, size_t length)
{
    struct stretch *stretch = context;
    if (stretch->wiped)
        stretch->wiped = overwrite(stretch->wiper, start, length) == 0;
}

/* Overwrites what the extent says; false where its access was taken away meanwhile. */
static bool overwrite_slot(const struct wiper *wiper, struct smem_region *region,
                           uint32_t slot)
{
    struct stretch stretch = {.wiper = wiper, .wiped = true};
    /* First: who makes it of a slot that is LIVE already writes the alignment before. */
    size_t size = atomic_load(&region->slots[slot].size);
    if (wiper->extent == SMEM_WIPE_PAGES)
        wipe_stretch(&stretch, smem_slot_data(region, slot), region->slot_bytes);
    else if (region->secrets != NULL)
        region->secrets(region, slot, wipe_stretch, &stretch);
    else if (size <= region->slot_bytes)
        wipe_stretch(&stretch, smem_slot_secret(region, slot), size);
    return stretch.wiped;
}

static bool wipe_slot(const struct wiper *wiper, struct smem_region *region,
                      uint32_t slot)
{
    for (int i = 0; i < TRIES; i++) {
        if (smem_kernel_protect(smem_slot_data(region, slot), region->slot_bytes,
                                SMEM_ACCESS_WRITE) != 0)
            return false;
        if (overwrite_slot(wiper, region, slot)) {
            restore_access(region, slot);
            return true;
        }
    }
    return false;
}

/* Whoever stands on it needs it to go on. */
static bool stands_on(const struct smem_region *region, uint32_t slot)
{
    const char *here = __builtin_frame_address(0), *data = smem_slot_data(region, slot);
    return region->stacks && here >= data && here < data + region->slot_bytes;
}

static void wipe_region(struct smem_region *region, void *context)
{
    struct wiper *wiper = context;
    /* Within the visit: who copies meanwhile sees that one is on, or the count change. */
    if (!wiper->counted)
        atomic_fetch_add(&wipes, 1);
    wiper->counted = true;
    if (region->stacks != wiper->stacks)
        return;
    uint32_t committed = atomic_load(&region->committed);
    for (uint32_t i = 0; i < committed; i++) {
        if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
            break;
        unsigned char state = atomic_load(&region->slots[i].state);
        if ((state != SMEM_SLOT_LIVE && state != SMEM_SLOT_HELD) || stands_on(region, i))
            continue;
        if (!wipe_slot(wiper, region, i) && atomic_load(&region->slots[i].state) == state)
            wiper->failed++;
    }
}

static void wipe_each(struct wiper *wiper)
{
    if (wiper->extent == SMEM_WIPE_PAGES)
        smem_region_each_last(wipe_region, wiper);
    else
        smem_region_each(wipe_region, wiper);
}

size_t smem_wipe_regions(enum smem_wipe_extent extent)
{
    struct wiper wiper = {.extent = extent, .zeros = smem_kernel_open("/dev/zero")};
    uint32_t keys = smem_keys_all(), rights = smem_rights_open(keys);
    wipe_each(&wiper);
    wiper.stacks = true; /* last: a thread that loses its own may end the process */
    wipe_each(&wiper);
    smem_rights_restore(keys, rights);
    if (wiper.zeros >= 0)
        (void)smem_kernel_close(wiper.zeros); /* nothing was written to it */
    return wiper.failed;
}

unsigned smem_wipe_count(void)
{
    return atomic_load(&wipes);
}

unsigned smem_wipe_count_of_new(void)
{
    /* In this order: a visitor that comes between the two counts afterwards. */
    unsigned count = smem_wipe_count();
    return smem_visit_is_on() ? count - 1 : count;
}

/* As whoever ends a slot, it leaves the barrier to a visitor, unless there may be one. */
bool smem_wipe_came(unsigned since)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&smem_visits, memory_order_acquire) == 0)
        return atomic_load(&wipes) != since;
    return atomic_fetch_add(&wipes, 0) != since;
}
