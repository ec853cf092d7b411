/* SPDX-License-Identifier: ISC */
#include "region/ranges.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernel/kernel.h"
#include "kernel/procfs.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/marks.h"
#include "region/metadata.h"
#include "region/registry.h"

/* All of it is guarded by the ranges' lock. */
static size_t held;         /* the bytes whose count is not 0 */
static uint32_t held_epoch; /* the process that holds them */

static int cut_both(uintptr_t start, uintptr_t end)
{
    int result = smem_mark_cut(start);
    if (result == 0)
        result = smem_mark_cut(end);
    if (result != 0)
        smem_mark_mend(start);
    return result;
}

/* Calls visit with each mark of a range that was cut, and where the next one is. */
static int each(uintptr_t start, uintptr_t end,
                int (*visit)(struct smem_mark *mark, uintptr_t next, void *context),
                void *context)
{
    int result = 0;
    struct smem_mark *mark = smem_mark_before(start);
    while (result == 0 && mark != NULL && mark->at < end) {
        struct smem_mark *next = smem_mark_behind(mark->at);
        result = visit(mark, next == NULL ? end : next->at, context);
        mark = next;
    }
    return result;
}

static int mend_one(struct smem_mark *mark, uintptr_t next, void *context)
{
    (void)next;
    (void)context;
    smem_mark_mend(mark->at);
    return 0;
}

/* Of a range that was cut. */
static void mend_all(uintptr_t start, uintptr_t end)
{
    (void)each(start, end, mend_one, NULL);
    smem_mark_mend(end);
}

static int add(struct smem_mark *mark, uintptr_t next, void *context)
{
    (void)context;
    if (mark->count++ == 0)
        held += next - mark->at;
    return 0;
}

static int subtract(struct smem_mark *mark, uintptr_t next, void *context)
{
    (void)context;
    if (mark->count > 0 && --mark->count == 0)
        held -= next - mark->at;
    return 0;
}

static void *pointer_to(uintptr_t address)
{
    return (void *)address; /* NOLINT(performance-no-int-to-ptr): an address */
}

struct stretch {
    uintptr_t start, end;
};

/* The kernel stops at a hole: what lies behind it is unlocked mapping by mapping. */
static int unlock_part(const struct smem_proc_map *map, void *context)
{
    const struct stretch *stretch = context;
    uintptr_t start = map->start > stretch->start ? map->start : stretch->start;
    uintptr_t end = map->end < stretch->end ? map->end : stretch->end;
    return start < end ? smem_kernel_unlock(pointer_to(start), end - start) : 0;
}

/* In a deterministic process all stays locked, whoever asked for it. */
static int unlock(uintptr_t start, uintptr_t end)
{
    if (smem_metadata_stays_locked())
        return 0;
    /* Who unmapped the pages may have made room for a region: none of it is unlocked. */
    smem_lock_registry();
    int result = smem_registry_meet(pointer_to(start), end - start) != NULL
                     ? 0
                     : smem_kernel_unlock(pointer_to(start), end - start);
    if (result == -ENOMEM) /* a hole, or vm.max_map_count, which is told again */
        result = smem_kernel_is_locked(pointer_to(start), end - start) == 1
                     ? smem_proc_each_map(unlock_part, &(struct stretch){start, end})
                     : 0;
    smem_unlock_registry();
    return result;
}

static bool is_page_locked(uintptr_t page)
{
    return smem_kernel_is_locked(pointer_to(page), smem_kernel_page_size()) == 1;
}

/* 1 where it is a mapping of the stretch without a lock, which the kernel gives or not. */
static int lacks_lock(const struct smem_proc_map *map, void *context)
{
    const struct stretch *stretch = context;
    if (map->end <= stretch->start || map->start >= stretch->end)
        return 0;
    return !is_page_locked(map->start > stretch->start ? map->start : stretch->start);
}

/* Without /proc, its ends are asked alone. */
static bool is_locked(uintptr_t start, uintptr_t end)
{
    struct stretch stretch = {start, end};
    return is_page_locked(start) && is_page_locked(end - smem_kernel_page_size()) &&
           (end - start <= 2 * smem_kernel_page_size() ||
            smem_proc_each_map(lacks_lock, &stretch) <= 0);
}

static int refuse_lock(uintptr_t start, uintptr_t end, int result)
{
    if (result == 0)
        return smem_error_own(
            "mlock", ENOTSUP,
            "the call succeeds, but the kernel has no lock there: it is "
            "memory that is never swapped (huge pages, secret memory, a "
            "device), or a sandbox or an emulator pretends to it");
    /* Unlocked by now, so that the kernel looks at all of it. */
    if (result == -ENOMEM &&
        smem_kernel_is_locked(pointer_to(start), end - start) == -ENOMEM)
        return smem_error_argument("mlock", "a part of the range is not mapped");
    return smem_error_kernel("mlock", result, end - start);
}

/* A stretch that nobody holds. */
static int lock(uintptr_t start, uintptr_t end)
{
    int result = smem_kernel_lock(pointer_to(start), end - start);
    if (result == 0 && is_locked(start, end))
        return 0;
    (void)unlock(start, end); /* a refused lock may have locked a part */
    return refuse_lock(start, end, result);
}

static int lock_free(struct smem_mark *mark, uintptr_t next, void *context)
{
    uintptr_t *done = context;
    int result = mark->count > 0 ? 0 : lock(mark->at, next);
    if (result == 0)
        *done = next;
    return result;
}

static int unlock_free(struct smem_mark *mark, uintptr_t next, void *context)
{
    const uintptr_t *done = context;
    if (mark->count == 0 && next <= *done)
        (void)unlock(mark->at, next); /* refused, it stays locked: nothing is lost */
    return 0;
}

static int unlock_last(struct smem_mark *mark, uintptr_t next, void *context)
{
    uintptr_t *done = context;
    int result = mark->count > 1 ? 0 : unlock(mark->at, next);
    if (result == 0)
        *done = next;
    return result;
}

/* What is refused now is not locked any more, and not held. */
static int lock_again(struct smem_mark *mark, uintptr_t next, void *context)
{
    const uintptr_t *done = context;
    if (mark->count == 1 && next <= *done && lock(mark->at, next) != 0)
        (void)subtract(mark, next, NULL);
    return 0;
}

static bool is_held(uintptr_t start, uintptr_t end)
{
    const struct smem_mark *mark = smem_mark_before(start);
    while (mark != NULL && mark->count > 0) {
        mark = smem_mark_behind(mark->at);
        if (mark == NULL || mark->at >= end)
            return mark != NULL;
    }
    return false;
}

static void begin(void)
{
    smem_lock_ranges();
    if (held_epoch == smem_epoch())
        return;
    smem_mark_forget_all();
    held = 0;
    held_epoch = smem_epoch();
}

int smem_range_lock(uintptr_t start, uintptr_t end)
{
    uintptr_t done = start;
    begin();
    int result = smem_registry_meet(pointer_to(start), end - start) == NULL
                     ? cut_both(start, end)
                     : smem_error_argument("securemem_lock_range",
                                           "pages of it are the library's own, which "
                                           "locks its secrets itself");
    if (result == 0) {
        result = each(start, end, lock_free, &done);
        (void)each(start, end, result == 0 ? add : unlock_free, &done);
        mend_all(start, end);
    }
    smem_unlock_ranges();
    return result;
}

int smem_range_unlock(uintptr_t start, uintptr_t end)
{
    uintptr_t done = start;
    begin();
    int result = is_held(start, end)
                     ? cut_both(start, end)
                     : smem_error_argument("securemem_unlock_range",
                                           "a page of it is not locked by "
                                           "securemem_lock_range in this process");
    if (result == 0) {
        result = each(start, end, unlock_last, &done);
        if (result == 0) {
            (void)each(start, end, subtract, NULL);
        } else {
            result = smem_error_kernel("munlock", result, end - start);
            smem_error_hold();
            (void)each(start, end, lock_again, &done);
            smem_error_resume();
        }
        mend_all(start, end);
    }
    smem_unlock_ranges();
    return result;
}

int smem_range_hold(uintptr_t start, uintptr_t end)
{
    begin();
    int result = cut_both(start, end);
    if (result == 0) {
        (void)each(start, end, add, NULL);
        mend_all(start, end);
    }
    smem_unlock_ranges();
    return result;
}

void smem_range_drop(uintptr_t start, uintptr_t end)
{
    begin();
    smem_error_hold();
    if (cut_both(start, end) == 0) {
        (void)each(start, end, subtract, NULL);
        mend_all(start, end);
    }
    smem_error_resume();
    smem_unlock_ranges();
}

int smem_range_each_free(uintptr_t start, uintptr_t end,
                         int (*visit)(uintptr_t start, uintptr_t end, void *context),
                         void *context)
{
    int result = 0;
    while (start < end && result == 0) {
        const struct smem_mark *next = smem_mark_behind(start);
        uintptr_t to = next == NULL || next->at > end ? end : next->at;
        if (held_epoch != smem_epoch() || smem_mark_count(start) == 0)
            result = visit(start, to, context);
        start = to;
    }
    return result;
}

int smem_range_each_held(int (*visit)(uintptr_t start, uintptr_t end, void *context),
                         void *context)
{
    int result = 0;
    if (held_epoch != smem_epoch())
        return 0;
    for (const struct smem_mark *m = smem_mark_behind(0), *next; m != NULL && result == 0;
         m = next) {
        next = smem_mark_behind(m->at);
        if (m->count > 0)
            result = visit(m->at, next->at, context);
    }
    return result;
}

size_t smem_range_bytes(void)
{
    return held_epoch == smem_epoch() ? held : 0;
}

static int sum(uintptr_t start, uintptr_t end, void *context)
{
    *(size_t *)context += end - start;
    return 0;
}

void smem_range_check(void)
{
    size_t bytes = 0;
    smem_mark_check();
    (void)smem_range_each_held(sum, &bytes);
    if (bytes != smem_range_bytes())
        abort();
}
