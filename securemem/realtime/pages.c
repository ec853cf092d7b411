/* SPDX-License-Identifier: ISC */
#include "realtime/pages.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/pagemap.h"
#include "region/epoch.h"
#include "region/locks.h"
#include "region/registry.h"

#define WINDOW  512U /* pages that are looked at together */
#define DETAILS 32U
#define NOTHING ((securemem_rt_finding_kind)0)

static atomic_int kept = -1;
static _Atomic uint32_t kept_epoch;

int smem_pages_descriptor(void)
{
    int descriptor = atomic_load(&kept);
    /* A forked child has its parent's, which speaks of the parent. */
    if (descriptor >= 0 && atomic_load(&kept_epoch) == smem_epoch())
        return descriptor;
    int fresh = smem_kernel_open("/proc/thread-self/pagemap");
    if (fresh < 0)
        return fresh;
    if (!atomic_compare_exchange_strong(&kept, &descriptor, fresh)) {
        (void)smem_kernel_close(fresh); /* another thread was first */
        return descriptor;
    }
    atomic_store(&kept_epoch, smem_epoch());
    if (descriptor >= 0)
        (void)smem_kernel_close(descriptor);
    return fresh;
}

bool smem_pages_scans(int descriptor)
{
    struct smem_pages pages;
    uintptr_t next, page = (uintptr_t)&pages & ~(smem_kernel_page_size() - 1);
    return smem_kernel_scan_pages(descriptor, page, page + smem_kernel_page_size(),
                                  &pages, 1, &next) >= 0;
}

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool smem_pages_are_exempt(const struct smem_proc_map *map)
{
    return (!map->readable && !map->writable && !map->executable) ||
           begins_with(map->name, "[v") || begins_with(map->name, "anon_inode:");
}

bool smem_pages_are_locked(const struct smem_proc_map *map)
{
    void *start = (void *)map->start; /* NOLINT: an address that the kernel gave */
    return smem_kernel_is_locked(start, smem_kernel_page_size()) == 1;
}

/* Pages side by side, and what PAGEMAP_SCAN says of those that are not in memory. */
struct window {
    const struct smem_proc_map *map;
    uintptr_t start;
    size_t pages;
    uint64_t entries[WINDOW];
    uint64_t what[WINDOW]; /* of smem_pages.what; 0 where nothing was said */
};

static bool is_plain(const struct smem_proc_map *map, uint64_t entry)
{
    if ((entry & SMEM_ENTRY_PRESENT) == 0)
        return false;
    bool copies = map->writable && !map->shared;
    return !copies ||
           (entry & (SMEM_ENTRY_EXCLUSIVE | SMEM_ENTRY_FILE)) == SMEM_ENTRY_EXCLUSIVE;
}

/* False where PAGEMAP_SCAN is refused: then nothing more is known of the pages. */
static bool ask_details(int descriptor, struct window *w)
{
    size_t page = smem_kernel_page_size();
    uintptr_t at = w->start, end = w->start + w->pages * page;
    while (at < end) {
        struct smem_pages found[DETAILS];
        uintptr_t next = end;
        long count = smem_kernel_scan_pages(descriptor, at, end, found, DETAILS, &next);
        for (long i = 0; i < count; i++)
            for (uintptr_t p = found[i].start; p < found[i].end; p += page)
                w->what[(p - w->start) / page] = found[i].what;
        if (count < 0)
            return false;
        if (next <= at)
            return true;
        at = next;
    }
    return true;
}

/* The guards of a secret, and what lies between them for the next one. */
static bool is_guard(const char *address)
{
    struct smem_region *region = smem_registry_acquire(address);
    if (region == NULL)
        return false;
    bool guard = !smem_region_is_used(region, address);
    smem_unlock_stripe(smem_stripe_of(&region->object));
    return guard;
}

static securemem_rt_finding_kind kind_of(const struct window *w, size_t i)
{
    uint64_t entry = w->entries[i];
    const char *address =
        (const char *)(w->start + i * smem_kernel_page_size()); /* NOLINT: an address */
    if (is_plain(w->map, entry))
        return NOTHING;
    if ((entry & SMEM_ENTRY_PRESENT) != 0)
        return (w->what[i] & SMEM_PAGES_ZERO) != 0 ? SECUREMEM_RT_ZERO_PAGE
                                                   : SECUREMEM_RT_SHARED;
    if ((w->what[i] & SMEM_PAGES_GUARD) != 0 || is_guard(address))
        return NOTHING;
    return (entry & SMEM_ENTRY_SWAPPED) != 0 ? SECUREMEM_RT_SWAPPED
                                             : SECUREMEM_RT_NOT_PRESENT;
}

static int look(int descriptor, bool *scans, struct window *w)
{
    long read = smem_kernel_read_pages(descriptor, w->start, w->entries, w->pages);
    if (read < 0)
        return (int)read;
    bool plain = true;
    for (size_t i = 0; i < w->pages; i++) {
        if (i >= (size_t)read)
            w->entries[i] = 0;
        w->what[i] = 0;
        plain = plain && is_plain(w->map, w->entries[i]);
    }
    if (!plain && *scans)
        *scans = ask_details(descriptor, w);
    return 0;
}

int smem_pages_each(int descriptor, bool *scans, const struct smem_proc_map *map,
                    void (*visit)(void *context, securemem_rt_finding_kind kind,
                                  uintptr_t start, size_t length),
                    void *context)
{
    size_t page = smem_kernel_page_size();
    struct window w = {.map = map, .start = map->start};
    securemem_rt_finding_kind kind = NOTHING;
    uintptr_t since = map->start;
    for (; w.start < map->end; w.start += w.pages * page) {
        size_t left = (map->end - w.start) / page;
        w.pages = left < WINDOW ? left : WINDOW;
        int result = look(descriptor, scans, &w);
        if (result != 0)
            return result;
        for (size_t i = 0; i < w.pages; i++) {
            securemem_rt_finding_kind next = kind_of(&w, i);
            if (next == kind)
                continue;
            uintptr_t at = w.start + i * page;
            if (kind != NOTHING)
                visit(context, kind, since, at - since);
            kind = next;
            since = at;
        }
    }
    if (kind != NOTHING)
        visit(context, kind, since, map->end - since);
    return 0;
}
