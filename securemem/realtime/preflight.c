/* SPDX-License-Identifier: ISC */
/* Whether the plan fits: limits, memory, and whether a lock is one. */
#include "realtime/preflight.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/cgroup.h"
#include "kernel/kernel.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "realtime/touch.h"
#include "region/budget.h"
#include "region/error.h"
#include "region/metadata.h"

static const char operation[] = "securemem_rt_preflight";

void smem_preflight_say(struct smem_preflight *preflight, securemem_rt_check check,
                        securemem_rt_severity severity, const char *format, ...)
{
    securemem_rt_preflight_report *report = preflight->report;
    if (report->count == SECUREMEM_RT_CHECKS)
        return; /* there are fewer checks */
    securemem_rt_result *result = &report->results[report->count++];
    *result = (securemem_rt_result){.check = check, .severity = severity};
    report->refusals += severity == SECUREMEM_RT_REFUSAL;
    report->warnings += severity == SECUREMEM_RT_WARNING;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(result->sentence, sizeof result->sentence, format, arguments);
    va_end(arguments);
}

void smem_preflight_figures(struct smem_preflight *preflight, size_t needed, size_t limit,
                            size_t in_use)
{
    securemem_rt_result *last = &preflight->report->results[preflight->report->count - 1];
    last->needed = needed;
    last->limit = limit;
    last->in_use = in_use;
}

/* What is left of a range, as the mappings pass by in their order. */
struct left {
    uintptr_t at, end;
};

static int pass_by(const struct smem_proc_map *map, void *context)
{
    struct left *left = context;
    if (map->start <= left->at && left->at < map->end)
        left->at = map->end;
    return 0;
}

static int check_mapped(const securemem_rt_range *range)
{
    uintptr_t start = (uintptr_t)range->start;
    struct left left = {.at = start, .end = start + range->length};
    int result = smem_proc_each_map(pass_by, &left);
    if (result != 0)
        return smem_error_unreadable("/proc/self/maps", result);
    if (left.at >= left.end)
        return 0;
    /* What the file does not show, where it ends early, the kernel knows. */
    uintptr_t page = smem_kernel_page_size();
    void *at = (void *)(left.at & ~(page - 1)); /* NOLINT: an address */
    return smem_kernel_is_locked(at, page) == -ENOMEM
               ? smem_error_argument(operation, "a part of a range is not mapped")
               : 0;
}

static int check_ranges(const securemem_rt_plan *plan)
{
    if (plan->range_count > 0 && plan->ranges == NULL)
        return smem_error_argument(operation, ".ranges is NULL");
    for (size_t i = 0; i < plan->range_count; i++) {
        const securemem_rt_range *range = &plan->ranges[i];
        if (range->start == NULL || range->length == 0 ||
            range->length > SIZE_MAX / 2 - (uintptr_t)range->start % (SIZE_MAX / 2))
            return smem_error_argument(
                operation,
                "a range has start NULL or length 0, or is longer than memory");
        int result = check_mapped(range);
        if (result != 0)
            return result;
    }
    return 0;
}

static int check_plan(const securemem_rt_plan *plan)
{
    if ((unsigned)plan->mode > SECUREMEM_RT_REGION)
        return smem_error_argument(operation, ".mode is not one of securemem_rt_mode");
    for (size_t i = 0; i < sizeof plan->reserved / sizeof *plan->reserved; i++)
        if (plan->reserved[i] != 0)
            return smem_error_argument(operation, ".reserved is not zero");
    if (plan->mode == SECUREMEM_RT_REGION && plan->heap != 0)
        return smem_error_argument(operation, "malloc's memory is not locked in "
                                              "SECUREMEM_RT_REGION; .heap has to be 0");
    size_t stacks, all;
    if (__builtin_mul_overflow(plan->threads, plan->thread_stack, &stacks) ||
        __builtin_add_overflow(stacks, plan->heap, &all) ||
        __builtin_add_overflow(all, plan->stack, &all) || all > SIZE_MAX / 4)
        return smem_error_argument(operation, "the plan is larger than any memory");
    return check_ranges(plan);
}

/* Of a stack: whole pages, and what the C library puts on it. */
#define STACK_PAGES 3U

/* What of the calling thread's stack is not charged yet: by mlockall, what is mapped is. */
static size_t added_stack(const struct smem_preflight *p)
{
    size_t bytes = p->plan->stack == 0 ? SECUREMEM_RT_STACK_DEFAULT : p->plan->stack;
    uintptr_t start, end;
    if (p->plan->mode != SECUREMEM_RT_REGION ||
        smem_stack_range(p->here, bytes, &start, &end) != 0)
        return bytes;
    return end - start;
}

/* Bytes that the plan adds to what is mapped now; a thread, as a test of headroom, at least. */
static size_t added_by(const struct smem_preflight *p)
{
    const securemem_rt_plan *plan = p->plan;
    size_t stack = added_stack(p);
    size_t thread =
        plan->thread_stack == 0 ? SECUREMEM_RT_STACK_DEFAULT : plan->thread_stack;
    size_t more = STACK_PAGES * smem_kernel_page_size();
    size_t threads = plan->threads == 0 ? 1 : plan->threads;
    return stack + more + threads * (thread + more) + plan->heap;
}

static size_t ranges_of(const securemem_rt_plan *plan)
{
    size_t bytes = 0, page = smem_kernel_page_size();
    for (size_t i = 0; i < plan->range_count; i++)
        bytes += plan->ranges[i].length + page;
    return bytes;
}

/* Mappings of our own: for threads, for marks of locked ranges, for what was locked before. */
#define OWN_MAPPINGS 3U

static size_t bookkeeping(void)
{
    return OWN_MAPPINGS * (SMEM_POOL_CHUNK_BYTES + 2 * smem_kernel_page_size());
}

/* mlockall charges every mapping, whether it has memory or not. */
static size_t planned_bytes(const struct smem_preflight *p)
{
    bool all = p->plan->mode != SECUREMEM_RT_REGION;
    size_t now = all ? p->mapped + bookkeeping() : p->locked + ranges_of(p->plan);
    return now + added_by(p);
}

/* Bytes that will come into memory. */
static size_t new_bytes(const struct smem_preflight *p)
{
    size_t planned = p->report->planned;
    if (p->plan->mode == SECUREMEM_RT_FULL)
        return planned > p->resident ? planned - p->resident : 0;
    return ranges_of(p->plan) + added_by(p);
}

static void check_limit(struct smem_preflight *p)
{
    struct smem_lock_budget budget;
    if (smem_budget_of_locks(&budget) != 0 || budget.unlimited)
        return;
    size_t needed = p->report->planned;
    if (smem_kernel_has_ipc_lock() == 1)
        smem_preflight_say(p, SECUREMEM_RT_CHECK_NAMESPACE, SECUREMEM_RT_NOTE,
                           "CAP_IPC_LOCK does not count in this user namespace: "
                           "RLIMIT_MEMLOCK is what holds; set it outside, before");
    if (needed <= budget.hard)
        return;
    smem_preflight_say(
        p, SECUREMEM_RT_CHECK_LOCK_LIMIT, SECUREMEM_RT_REFUSAL,
        "%zu bytes are to be locked, RLIMIT_MEMLOCK allows %zu: raise it (ulimit -l, "
        "LimitMEMLOCK= in systemd, --ulimit memlock= in Docker), grant CAP_IPC_LOCK, or %s",
        needed, budget.hard,
        p->plan->mode == SECUREMEM_RT_REGION ? "plan less"
                                             : "lock less (SECUREMEM_RT_REGION)");
    smem_preflight_figures(p, needed, budget.hard, budget.in_use);
}

/*
 * Beyond it the kernel kills, without an errno. What others of the group use can be pushed
 * out, what is locked here cannot.
 */
static void check_group(struct smem_preflight *p)
{
    struct smem_cgroup group;
    size_t needed = new_bytes(p);
    if (smem_cgroup_memory(&group) != 0 || group.limit == SIZE_MAX)
        return;
    size_t left = group.limit > group.in_use ? group.limit - group.in_use : 0;
    if (needed <= left)
        return;
    if (p->report->planned < group.limit)
        smem_preflight_say(p, SECUREMEM_RT_CHECK_CGROUP, SECUREMEM_RT_WARNING,
                           "%zu bytes are to come into memory, the control group allows "
                           "%zu and %zu are in use: others of it have to give way; raise "
                           "MemoryMax=",
                           needed, group.limit, group.in_use);
    else
        smem_preflight_say(p, SECUREMEM_RT_CHECK_CGROUP, SECUREMEM_RT_REFUSAL,
                           "%zu bytes are to come into memory, the control group allows "
                           "%zu and %zu are in use, beyond which the kernel kills: raise "
                           "MemoryMax=, or plan less",
                           needed, group.limit, group.in_use);
    smem_preflight_figures(p, needed, group.limit, group.in_use);
}

static void check_memory(struct smem_preflight *p)
{
    size_t available, needed = new_bytes(p);
    if (smem_proc_available(&available) != 0 || needed <= available)
        return;
    smem_preflight_say(p, SECUREMEM_RT_CHECK_MEMORY, SECUREMEM_RT_REFUSAL,
                       "%zu bytes are to come into memory, and the machine has %zu "
                       "available: free some, or plan less",
                       needed, available);
    smem_preflight_figures(p, needed, available, 0);
}

/* The stack is brought in by a touch as deep, with as much left for the touching. */
static void check_stack(struct smem_preflight *p)
{
    size_t left,
        bytes = p->plan->stack == 0 ? SECUREMEM_RT_STACK_DEFAULT : p->plan->stack;
    if (smem_kernel_stack_left(&left) != 0 || left / 2 >= bytes)
        return;
    smem_preflight_say(
        p, SECUREMEM_RT_CHECK_STACK, SECUREMEM_RT_REFUSAL,
        "the plan's stack of %zu bytes needs twice as many, and the calling "
        "thread's has %zu left: raise RLIMIT_STACK, or plan a smaller one",
        bytes, left);
    smem_preflight_figures(p, 2 * bytes, left, 0);
}

/* A thread's first malloc reserves the thread an arena, which mlockall charges. */
static void check_malloc(struct smem_preflight *p)
{
    size_t arena = smem_kernel_malloc_reserve(), limit, mappings;
    if (arena == 0 || p->plan->threads == 0 || p->plan->tune_malloc ||
        p->plan->mode == SECUREMEM_RT_REGION)
        return;
    smem_budget_estimate(&limit, &mappings);
    smem_preflight_say(
        p, SECUREMEM_RT_CHECK_MALLOC,
        limit == SIZE_MAX ? SECUREMEM_RT_NOTE : SECUREMEM_RT_WARNING,
        "malloc reserves %zu bytes for each of %zu threads that calls it, "
        "and they are charged to RLIMIT_MEMLOCK where they fit, beside what "
        "is planned: set .tune_malloc",
        arena, p->plan->threads);
    smem_preflight_figures(p, arena, limit, 0);
}

static int note_largest(const struct smem_proc_map *map, void *context)
{
    size_t *largest = context, length = map->end - map->start;
    if (length > *largest)
        *largest = length;
    return 0;
}

static void check_sparse(struct smem_preflight *p)
{
    size_t largest = 0, memory = smem_kernel_memory();
    if (p->plan->mode == SECUREMEM_RT_REGION ||
        smem_proc_each_map(note_largest, &largest) != 0 || largest <= memory)
        return;
    smem_preflight_say(
        p, SECUREMEM_RT_CHECK_SPARSE, SECUREMEM_RT_REFUSAL,
        "a mapping of %zu bytes is larger than the machine's memory: a "
        "sanitizer's shadow (whose mlock is not effective), or a runtime's "
        "heap; use SECUREMEM_RT_REGION",
        largest);
    smem_preflight_figures(p, largest, memory, 0);
}

/* A page is locked, and the kernel asked whether it is. */
static void check_locks(struct smem_preflight *p)
{
    size_t page = smem_kernel_page_size();
    void *probe;
    if (smem_kernel_map(page, &probe) != 0)
        return;
    if (smem_kernel_lock(probe, page) == 0 && smem_kernel_is_locked(probe, page) == 0)
        smem_preflight_say(
            p, SECUREMEM_RT_CHECK_LOCKS, SECUREMEM_RT_REFUSAL,
            "mlock succeeds, but the kernel has no lock there: a sandbox or "
            "an emulator pretends to it; run without it");
    (void)smem_kernel_unlock(probe, page); /* where it can be unlocked but not unmapped */
    (void)smem_kernel_unmap(probe, page);
}

int smem_preflight(const securemem_rt_plan *plan, uintptr_t here,
                   securemem_rt_preflight_report *report)
{
    if (report == NULL)
        return smem_error_argument(operation, "report is NULL");
    if (plan == NULL)
        return smem_error_argument(operation, "plan is NULL");
    int result = check_plan(plan);
    if (result != 0)
        return result;
    struct smem_preflight p = {.plan = plan, .report = report, .here = here};
    memset(report, 0, sizeof *report);
    check_stack(&p); /* the C library takes memory to tell, which then counts */
    result = smem_proc_size(&p.mapped);
    if (result == 0)
        result = smem_proc_resident(&p.resident);
    if (result == 0)
        result = smem_proc_locked(&p.locked);
    if (result != 0)
        return smem_error_unreadable("/proc/self/status", result);
    report->planned = planned_bytes(&p);
    check_sparse(&p);
    check_locks(&p);
    check_limit(&p);
    check_group(&p);
    check_memory(&p);
    check_malloc(&p);
    smem_preflight_settings(&p);
    return 0;
}

int securemem_rt_preflight(const securemem_rt_plan *plan,
                           securemem_rt_preflight_report *report)
{
    return smem_preflight(plan, (uintptr_t)__builtin_frame_address(0), report);
}
