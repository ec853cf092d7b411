/* SPDX-License-Identifier: ISC */
#include "region/ranges.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernel/kernel.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/metadata.h"
#include "region/registry.h"

/*
 * From at to the next mark the pages are held count times; before the first, and behind the
 * last, 0 times. Marks side by side differ in their counts, but while a call is at work.
 * A treap: ordered by at, and as a heap by rank, which is as good as random.
 */
struct mark {
    struct smem_pool_object object;
    struct mark *lower, *higher;
    uintptr_t at;
    size_t count;
    uint64_t rank;
};

/* All of it is guarded by the ranges' lock. */
static struct smem_pool pool = {.object_size = sizeof(struct mark),
                                .lasting = sizeof(struct smem_pool_object)};
static struct mark *root;
static size_t held;
static uint32_t held_epoch; /* the process that holds them */

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t rank_of(uintptr_t at)
{
    uint64_t x = at;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* The last mark at or before the address; NULL where there is none. */
static struct mark *mark_before(uintptr_t at)
{
    struct mark *found = NULL;
    for (struct mark *m = root; m != NULL;) {
        if (m->at <= at)
            found = m;
        m = m->at <= at ? m->higher : m->lower;
    }
    return found;
}

/* The first mark behind the address. */
static struct mark *mark_behind(uintptr_t at)
{
    struct mark *found = NULL;
    for (struct mark *m = root; m != NULL;) {
        if (m->at > at)
            found = m;
        m = m->at > at ? m->lower : m->higher;
    }
    return found;
}

static size_t count_at(uintptr_t at)
{
    const struct mark *mark = mark_before(at);
    return mark == NULL ? 0 : mark->count;
}

/* Goes down to where its rank puts it, and splits what was there. */
static void insert(struct mark *mark)
{
    struct mark **link = &root;
    while (*link != NULL && (*link)->rank >= mark->rank)
        link = mark->at < (*link)->at ? &(*link)->lower : &(*link)->higher;
    struct mark *rest = *link, **lower = &mark->lower, **higher = &mark->higher;
    *link = mark;
    while (rest != NULL) {
        if (rest->at < mark->at) {
            *lower = rest;
            lower = &rest->higher;
            rest = *lower;
        } else {
            *higher = rest;
            higher = &rest->lower;
            rest = *higher;
        }
    }
    *lower = NULL;
    *higher = NULL;
}

/* Joins what is below it in its place. */
static void take_out(struct mark *mark)
{
    struct mark **link = &root, *lower = mark->lower, *higher = mark->higher;
    while (*link != mark)
        link = mark->at < (*link)->at ? &(*link)->lower : &(*link)->higher;
    while (lower != NULL && higher != NULL) {
        if (lower->rank >= higher->rank) {
            *link = lower;
            link = &lower->higher;
            lower = *link;
        } else {
            *link = higher;
            link = &higher->lower;
            higher = *link;
        }
    }
    *link = lower != NULL ? lower : higher;
    smem_pool_give(&pool, mark);
}

/* A mark there, which changes no count. 0 or a negative errno, recorded. */
static int cut(uintptr_t at)
{
    const struct mark *before = mark_before(at);
    if (before != NULL && before->at == at)
        return 0;
    void *object;
    int result = smem_pool_take(&pool, &object);
    if (result != 0)
        return result;
    struct mark *mark = object;
    mark->at = at;
    mark->count = before == NULL ? 0 : before->count;
    mark->rank = rank_of(at);
    insert(mark);
    return 0;
}

/* A mark that changes no count goes. */
static void mend(uintptr_t at)
{
    struct mark *mark = mark_before(at);
    if (mark != NULL && mark->at == at && count_at(at - 1) == mark->count)
        take_out(mark);
}

static int cut_both(uintptr_t start, uintptr_t end)
{
    int result = cut(start);
    if (result == 0)
        result = cut(end);
    if (result != 0)
        mend(start);
    return result;
}

/* Calls visit with each mark of a range that was cut, and where the next one is. */
static int each(uintptr_t start, uintptr_t end,
                int (*visit)(struct mark *mark, uintptr_t next, void *context),
                void *context)
{
    int result = 0;
    for (struct mark *m = mark_before(start); result == 0 && m != NULL && m->at < end;) {
        struct mark *next = mark_behind(m->at);
        result = visit(m, next->at, context); /* the range's end is a mark */
        m = next;
    }
    return result;
}

static int mend_one(struct mark *mark, uintptr_t next, void *context)
{
    (void)next;
    (void)context;
    mend(mark->at);
    return 0;
}

/* Of a range that was cut. */
static void mend_all(uintptr_t start, uintptr_t end)
{
    (void)each(start, end, mend_one, NULL);
    mend(end);
}

static int add(struct mark *mark, uintptr_t next, void *context)
{
    (void)context;
    if (mark->count++ == 0)
        held += next - mark->at;
    return 0;
}

static int subtract(struct mark *mark, uintptr_t next, void *context)
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
    smem_unlock_registry();
    /* Unmapped, there is nothing to unlock; but vm.max_map_count is told in the same way. */
    if (result == -ENOMEM && smem_kernel_is_locked(pointer_to(start), end - start) != 1)
        return 0;
    return result;
}

static bool is_locked(uintptr_t start, uintptr_t end)
{
    size_t page = smem_kernel_page_size();
    return smem_kernel_is_locked(pointer_to(start), page) == 1 &&
           smem_kernel_is_locked(pointer_to(end - page), page) == 1;
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

static int lock_free(struct mark *mark, uintptr_t next, void *context)
{
    uintptr_t *done = context;
    int result = mark->count > 0 ? 0 : lock(mark->at, next);
    if (result == 0)
        *done = next;
    return result;
}

static int unlock_free(struct mark *mark, uintptr_t next, void *context)
{
    const uintptr_t *done = context;
    if (mark->count == 0 && next <= *done)
        (void)unlock(mark->at, next); /* refused, it stays locked: nothing is lost */
    return 0;
}

static int unlock_last(struct mark *mark, uintptr_t next, void *context)
{
    uintptr_t *done = context;
    int result = mark->count > 1 ? 0 : unlock(mark->at, next);
    if (result == 0)
        *done = next;
    return result;
}

/* What is refused now is not locked any more, and not held. */
static int lock_again(struct mark *mark, uintptr_t next, void *context)
{
    const uintptr_t *done = context;
    if (mark->count == 1 && next <= *done && lock(mark->at, next) != 0)
        (void)subtract(mark, next, NULL);
    return 0;
}

static bool is_held(uintptr_t start, uintptr_t end)
{
    const struct mark *mark = mark_before(start);
    while (mark != NULL && mark->count > 0) {
        mark = mark_behind(mark->at);
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
    while (root != NULL)
        take_out(root);
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
        const struct mark *next = mark_behind(start);
        uintptr_t to = next == NULL || next->at > end ? end : next->at;
        if (held_epoch != smem_epoch() || count_at(start) == 0)
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
    for (const struct mark *m = mark_behind(0), *next; m != NULL && result == 0;
         m = next) {
        next = mark_behind(m->at);
        if (m->count > 0)
            result = visit(m->at, next->at, context);
    }
    return result;
}

size_t smem_range_bytes(void)
{
    return held_epoch == smem_epoch() ? held : 0;
}

void smem_range_check(void)
{
    size_t sum = 0, before = 0;
    for (const struct mark *m = mark_behind(0), *next; m != NULL; m = next) {
        next = mark_behind(m->at);
        bool ordered =
            (m->lower == NULL || (m->lower->at < m->at && m->lower->rank <= m->rank)) &&
            (m->higher == NULL || (m->higher->at > m->at && m->higher->rank <= m->rank));
        if (!ordered || m->count == before || (next == NULL && m->count != 0))
            abort();
        sum += m->count == 0 ? 0 : next->at - m->at;
        before = m->count;
    }
    if (sum != held)
        abort();
}
