/* SPDX-License-Identifier: ISC */
#include "region/budget.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "kernel/kernel.h"
#include "kernel/procfs.h"

/* Linux's default of vm.max_map_count, where /proc does not say it. */
#define DEFAULT_MAPPING_LIMIT 65530
#define COUNT_VALID_MS        1000

static atomic_size_t charged;

/* A memo of the costly count; the fields may be mixed by a race, which costs accuracy. */
static _Atomic int64_t counted_at_ms = INT64_MIN;
static atomic_size_t counted_mappings, counted_charge;

/* 0: not asked yet, 1: initial user namespace, 2: another. */
static atomic_int namespace_kind;
static atomic_size_t mapping_limit;

void smem_budget_charge(size_t bytes)
{
    atomic_fetch_add_explicit(&charged, bytes, memory_order_relaxed);
}

void smem_budget_discharge(size_t bytes)
{
    atomic_fetch_sub_explicit(&charged, bytes, memory_order_relaxed);
}

size_t smem_budget_charged(void)
{
    return atomic_load_explicit(&charged, memory_order_relaxed);
}

void smem_budget_reset_charges(void)
{
    atomic_store_explicit(&charged, 0, memory_order_relaxed);
}

int smem_budget_of_locks(struct smem_lock_budget *out)
{
    struct smem_lock_budget budget;
    int result = smem_kernel_lock_limit(&budget.soft, &budget.hard);
    if (result == 0)
        result = smem_proc_locked(&budget.in_use);
    if (result != 0)
        return result;
    bool initial = false;
    int capable = smem_kernel_has_ipc_lock();
    if (capable < 0)
        return capable;
    if (capable == 1) {
        result = smem_proc_in_initial_namespace(&initial);
        if (result != 0)
            return result;
    }
    budget.unlimited = budget.soft == SIZE_MAX || initial;
    *out = budget;
    return 0;
}

int smem_budget_of_mappings(struct smem_mapping_budget *out)
{
    int64_t now = smem_kernel_milliseconds();
    size_t charge = smem_budget_charged();
    int64_t then = atomic_load(&counted_at_ms);
    size_t limit;
    int result = smem_proc_mapping_limit(&limit);
    if (result != 0)
        return result;

    bool fresh = now >= 0 && then != INT64_MIN && now - then < COUNT_VALID_MS &&
                 atomic_load(&counted_charge) == charge;
    size_t count = atomic_load(&counted_mappings);
    if (!fresh) {
        result = smem_proc_count_mappings(&count);
        if (result != 0)
            return result;
        atomic_store(&counted_mappings, count);
        atomic_store(&counted_charge, charge);
        atomic_store(&counted_at_ms, now);
    }
    *out = (struct smem_mapping_budget){.limit = limit, .in_use = count};
    return 0;
}

/* Asked once: a process that changes its namespace later is corrected by a refusal. */
static bool capability_counts(void)
{
    int kind = atomic_load(&namespace_kind);
    if (kind == 0) {
        bool initial = false;
        kind = smem_proc_in_initial_namespace(&initial) == 0 && initial ? 1 : 2;
        atomic_store(&namespace_kind, kind);
    }
    return kind == 1 && smem_kernel_has_ipc_lock() == 1;
}

void smem_budget_estimate(size_t *lock_bytes, size_t *mappings)
{
    size_t limit = atomic_load(&mapping_limit);
    if (limit == 0) {
        if (smem_proc_mapping_limit(&limit) != 0)
            limit = DEFAULT_MAPPING_LIMIT;
        atomic_store(&mapping_limit, limit);
    }
    *mappings = limit;

    size_t soft, hard;
    if (capability_counts())
        *lock_bytes = SIZE_MAX;
    else
        *lock_bytes = smem_kernel_lock_limit(&soft, &hard) == 0 ? soft : 0;
}
