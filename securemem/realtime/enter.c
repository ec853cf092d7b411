/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/process.h"
#include "realtime/mode.h"
#include "realtime/pages.h"
#include "realtime/preflight.h"
#include "realtime/touch.h"
#include "region/budget.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "region/metadata.h"
#include "region/ranges.h"
#include "region/region.h"

static const char operation[] = "securemem_rt_enter";

#define AUDITS 10

/* What a call of enter works on. */
struct entering {
    const securemem_rt_plan *plan;
    struct smem_mode *mode;
    bool first;         /* nobody has entered before */
    size_t first_range; /* of mode->ranges, that this call made */
};

static size_t stack_of(const securemem_rt_plan *plan)
{
    return plan->stack == 0 ? SECUREMEM_RT_STACK_DEFAULT : plan->stack;
}

/* As mlock(2) has it, a limit of 0 is no permission. */
static int code_of(const securemem_rt_result *refusal)
{
    switch (refusal->check) {
    case SECUREMEM_RT_CHECK_LOCKS:
    case SECUREMEM_RT_CHECK_SPARSE:
        return ENOTSUP;
    case SECUREMEM_RT_CHECK_LOCK_LIMIT:
        return refusal->limit == 0 ? EPERM : ENOMEM;
    default:
        return ENOMEM;
    }
}

/*
 * The preflight's refusals, told as this call's own. This call goes a little deeper into the
 * stack than the caller's own preflight: what that found to be enough is enough.
 */
static int check(struct entering *e)
{
    static securemem_rt_preflight_report report; /* large; guarded by the mode's lock */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) + smem_kernel_page_size();
    int result = smem_preflight(e->plan, here, &report);
    for (size_t i = 0; i < report.count && result == 0; i++) {
        const securemem_rt_result *one = &report.results[i];
        if (one->severity != SECUREMEM_RT_REFUSAL)
            continue;
        result = smem_error_limit(operation, code_of(one), one->needed, one->limit,
                                  one->in_use, one->sentence);
    }
    return result;
}

static int note_what_is_locked(struct entering *e)
{
    if (!e->first)
        return 0;
    smem_lock_all(); /* a region that is just ending would be taken for the program's */
    int result = smem_keep_begin(&e->mode->keeping);
    smem_unlock_all();
    return result;
}

static void forget_what_is_locked(struct entering *e)
{
    if (e->first)
        smem_keep_end(&e->mode->keeping);
}

/* A kernel without the flag has nothing that it would prevent. */
static void change(struct smem_mode_flag *flag, enum smem_kernel_flag which, bool to)
{
    int before = smem_kernel_get_flag(which);
    if (before < 0 || (before == 1) == to || smem_kernel_set_flag(which, to) != 0)
        return;
    *flag = (struct smem_mode_flag){.changed = true, .before = before == 1};
}

static int set_flags(struct entering *e)
{
    if (e->first) {
        change(&e->mode->no_huge_pages, SMEM_FLAG_NO_HUGE_PAGES, true);
        change(&e->mode->merge, SMEM_FLAG_MERGE, false);
    }
    return 0;
}

static void restore_flags(struct entering *e)
{
    if (e->first)
        smem_mode_restore_flags(e->mode);
}

static int raise_limit(struct entering *e)
{
    size_t soft, hard;
    if (!e->first || smem_kernel_lock_limit(&soft, &hard) != 0 || soft >= hard)
        return 0;
    if (smem_kernel_set_lock_limit(hard) == 0) { /* refused, the soft limit has to do */
        e->mode->limit_raised = true;
        e->mode->limit_before = soft;
    }
    return 0;
}

static void restore_limit(struct entering *e)
{
    if (e->first)
        smem_mode_restore_limit(e->mode);
}

static int tune_malloc(struct entering *e)
{
    if (!e->plan->tune_malloc || e->mode->malloc_tuned)
        return 0;
    if (smem_kernel_tune_malloc() != 0)
        return smem_error_own(
            operation, ENOTSUP,
            "this C library's malloc cannot be tuned by mallopt; leave "
            ".tune_malloc false and bring an allocator that keeps memory");
    e->mode->malloc_tuned = true;
    return 0;
}

/* Brings a range in and locks it, noted in the mode, from which it is undone. */
static int prepare(struct entering *e, void *start, size_t length, bool apart)
{
    uintptr_t page = smem_kernel_page_size(), from = (uintptr_t)start & ~(page - 1);
    uintptr_t to = ((uintptr_t)start + length + page - 1) & ~(page - 1);
    void *pages = (void *)from; /* NOLINT: an address */
    if (e->mode->range_count == SMEM_MODE_RANGES)
        return smem_error_argument(operation, "there are more than 256 ranges");
    int result = smem_kernel_advise(pages, to - from, SMEM_ADVICE_POPULATE);
    /* Before 5.14, or not writable, mlock alone brings it in. */
    if (result != 0 && result != -EINVAL && result != -ENOSYS)
        return smem_error_kernel("madvise(MADV_POPULATE_WRITE)", result, to - from);
    struct smem_mode_range *range = &e->mode->ranges[e->mode->range_count];
    *range = (struct smem_mode_range){.start = from, .end = to};
    if (apart) {
        result = smem_kernel_inherit(pages, to - from, false);
        if (result != 0)
            return smem_error_kernel("madvise(MADV_DONTFORK)", result, to - from);
        range->kept_from_children = true;
    }
    e->mode->range_count++;
    result = smem_kernel_lock(pages, to - from);
    if (result != 0) {
        result = smem_error_kernel("mlock", result, to - from);
        if (!e->mode->locked_all) /* a part may be locked */
            (void)smem_keep_unlock_range(&e->mode->keeping, from, to);
        return result;
    }
    range->locked = true;
    if (smem_kernel_is_locked(pages, to - from) != 1)
        return smem_error_own(
            operation, ENOTSUP,
            "mlock succeeds, but the kernel has no lock there: a sandbox or "
            "an emulator pretends to it");
    result = smem_range_hold(from, to);
    range->held = result == 0;
    return result;
}

static int prepare_ranges(struct entering *e)
{
    e->first_range = e->mode->range_count;
    for (size_t i = 0; i < e->plan->range_count; i++) {
        const securemem_rt_range *range = &e->plan->ranges[i];
        int result = prepare(e, range->start, range->length, range->keep_from_children);
        if (result != 0) {
            smem_mode_release_ranges(e->mode, e->first_range);
            return result;
        }
    }
    return 0;
}

static void release_ranges(struct entering *e)
{
    smem_mode_release_ranges(e->mode, e->first_range);
}

/* Whether what is mapped from now on is locked: asked of a page that is. */
static bool is_future_locked(void)
{
    void *probe;
    size_t page = smem_kernel_page_size();
    if (smem_kernel_map(page, &probe) != 0)
        return false;
    bool locked = smem_kernel_is_locked(probe, page) == 1;
    (void)smem_kernel_unmap(probe, page); /* it held nothing */
    return locked;
}

static void bring_in(struct smem_region *region, void *context)
{
    (void)context;
    smem_region_bring_in(region);
}

/* mlockall gives up on a mapping at the first guard region in it. */
static void bring_in_secrets(void)
{
    smem_lock_all();
    smem_region_each(bring_in, NULL);
    smem_unlock_all();
}

static int lock_all(struct entering *e)
{
    if (!e->first || e->plan->mode == SECUREMEM_RT_REGION)
        return 0;
    e->mode->future_before = is_future_locked();
    int result = smem_kernel_lock_all(e->plan->mode == SECUREMEM_RT_FULL
                                          ? SMEM_LOCK_FUTURE
                                          : SMEM_LOCK_FUTURE_ON_FAULT);
    if (result != 0) {
        result = smem_error_kernel("mlockall", result, 0);
        e->mode->locked_all = true; /* a part may be */
        smem_error_hold();
        (void)smem_mode_unlock(e->mode);
        smem_error_resume();
        return result;
    }
    e->mode->locked_all = true;
    smem_metadata_stay_locked(true);
    bring_in_secrets();
    return 0;
}

static void unlock_all(struct entering *e)
{
    if (e->first)
        (void)smem_mode_unlock(e->mode); /* refused, more is locked than before */
}

static int prepare_stack(struct entering *e)
{
    size_t bytes = stack_of(e->plan);
    smem_touch_stack(bytes);
    (void)smem_kernel_touch_clocks(); /* what there is not cannot be warmed */
    if (e->mode->mode != SECUREMEM_RT_REGION)
        return 0;
    uintptr_t start, end;
    int result =
        smem_stack_range((uintptr_t)__builtin_frame_address(0), bytes, &start, &end);
    if (result != 0)
        return smem_error_unreadable("/proc/self/maps", result);
    return prepare(e, (void *)start, end - start, false); /* NOLINT: an address */
}

static int prepare_heap(struct entering *e)
{
    int result = smem_touch_heap(e->plan->heap);
    return result == 0 ? 0 : smem_error_kernel("malloc", result, e->plan->heap);
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* What would fail an hour later, far from its cause, fails here. */
static int test_headroom(struct entering *e)
{
    size_t stack =
        e->plan->thread_stack == 0 ? SECUREMEM_RT_STACK_DEFAULT : e->plan->thread_stack;
    size_t length = stack * (e->plan->threads == 0 ? 1 : e->plan->threads);
    void *start;
    int result = smem_kernel_map(length, &start);
    if (result != 0)
        return smem_error_kernel("mlockall: mmap after it", result, length);
    result = smem_kernel_unmap(start, length);
    if (result != 0)
        return smem_error_kernel("munmap", result, length);
    securemem_rt_thread *thread;
    result = securemem_rt_thread_create(
        &thread, &(securemem_rt_thread_options){.stack = stack, .cold = true}, do_nothing,
        NULL);
    return result == 0 ? securemem_rt_thread_join(thread, NULL) : result;
}

struct audit {
    int descriptor;
    bool scans;
    size_t missing; /* bytes */
};

static void note_missing(void *context, securemem_rt_finding_kind kind, uintptr_t start,
                         size_t length)
{
    (void)start;
    struct audit *audit = context;
    if (kind != SECUREMEM_RT_SHARED)
        audit->missing += length;
}

/* What was unlocked since is not asked for. */
static int audit_map(const struct smem_proc_map *map, void *context)
{
    struct audit *audit = context;
    if (smem_pages_are_exempt(map) || !smem_pages_are_locked(map))
        return 0;
    return smem_pages_each(audit->descriptor, &audit->scans, map, note_missing, audit);
}

static int audit_once(const struct entering *e, struct audit *audit)
{
    audit->missing = 0;
    int result = 0;
    for (size_t i = e->first_range; i < e->mode->range_count && result == 0; i++) {
        const struct smem_proc_map map = {.start = e->mode->ranges[i].start,
                                          .end = e->mode->ranges[i].end};
        result =
            smem_pages_each(audit->descriptor, &audit->scans, &map, note_missing, audit);
    }
    if (result == 0 && e->mode->mode == SECUREMEM_RT_FULL)
        result = smem_proc_each_map(audit_map, audit);
    return result == 0 ? 0 : smem_error_unreadable("/proc/self/pagemap", result);
}

/* The kernel does not tell what mlockall could not bring in. */
static int audit(struct entering *e)
{
    struct audit audit = {.descriptor = smem_pages_descriptor(), .scans = true};
    if (audit.descriptor < 0)
        return smem_error_unreadable("/proc/self/pagemap", audit.descriptor);
    /* What another thread is just mapping or unmapping is missing once. */
    for (int i = 0; i < AUDITS; i++) {
        int result = audit_once(e, &audit);
        if (result != 0 || audit.missing == 0)
            return result;
    }
    return smem_error_limit(operation, EAGAIN, audit.missing, SIZE_MAX, 0,
                            "pages are not in memory although they were locked; "
                            "securemem_rt_audit names them: free memory, or use "
                            "SECUREMEM_RT_DECLARED if they cannot be");
}

static const struct step {
    int (*take)(struct entering *e);
    void (*undo)(struct entering *e);
} steps[] = {
    {check, NULL},
    {note_what_is_locked, forget_what_is_locked},
    {set_flags, restore_flags},
    {raise_limit, restore_limit},
    {tune_malloc, NULL},
    {prepare_ranges, release_ranges},
    {lock_all, unlock_all},
    {prepare_stack, NULL},
    {prepare_heap, NULL},
    {test_headroom, NULL},
    {audit, NULL},
};

static int take_steps(struct entering *e)
{
    size_t at = 0;
    int result = 0;
    while (at < sizeof steps / sizeof *steps && (result = steps[at].take(e)) == 0)
        at++;
    if (result == 0)
        return 0;
    smem_error_hold();
    while (at-- > 0)
        if (steps[at].undo != NULL)
            steps[at].undo(e);
    smem_error_resume();
    return result;
}

int securemem_rt_enter(const securemem_rt_plan *plan)
{
    smem_fork_check();
    struct smem_mode *mode = smem_mode_take();
    struct entering e = {.plan = plan, .mode = mode, .first = mode->entered == 0};
    if (e.first && plan != NULL)
        mode->mode = plan->mode;
    int result = smem_mode_watch_forks();
    if (result == 0)
        result = take_steps(&e);
    if (result == 0) {
        mode->window = mode->window && !e.first;
        mode->entered++;
        smem_mode_publish(mode);
    }
    smem_mode_give();
    return result;
}
