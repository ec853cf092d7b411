/* SPDX-License-Identifier: ISC */
/* The budget as users see it. */
#include <securemem/protection.h>

#include "kernel/procfs.h"
#include "region/budget.h"
#include "region/error.h"
#include "region/fork.h"
#include "secret/arena.h"

int securemem_budget(securemem_budget_report *out)
{
    if (out == NULL)
        return smem_error_argument("securemem_budget", "out is NULL");
    smem_fork_check();

    struct smem_lock_budget locks;
    int result = smem_budget_of_locks(&locks);
    if (result != 0)
        return smem_error_unreadable("/proc/self/status", result);
    securemem_budget_report report = {
        .lock_limit = locks.soft,
        .lock_hard_limit = locks.hard,
        .lock_unlimited = locks.unlimited,
        .charged = smem_budget_charged(),
        .charged_process = locks.in_use,
        .available = SIZE_MAX,
        .mapping_limit = SIZE_MAX,
        .secrets = smem_arena_count_secrets(),
    };
    if (!locks.unlimited)
        report.available = locks.in_use < locks.soft ? locks.soft - locks.in_use : 0;
    result = smem_proc_count_mappings(&report.mappings);
    if (result != 0)
        return smem_error_unreadable("/proc/self/maps", result);
    if (smem_proc_mapping_limit(&report.mapping_limit) != 0)
        report.mapping_limit = SIZE_MAX;
    *out = report;
    return 0;
}
