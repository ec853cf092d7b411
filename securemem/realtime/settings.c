/* SPDX-License-Identifier: ISC */
/* Settings of the machine that move, merge, scan or swap pages. */
#include "kernel/procfs.h"
#include "realtime/preflight.h"

/* Above this, perf_event_open is not for ordinary users, in some distributions' kernels. */
#define PARANOID_MOST 2U

static bool is_on(const char *path)
{
    size_t value;
    return smem_proc_setting(path, &value) == 0 && value != 0;
}

static void check_moving(struct smem_preflight *p)
{
    if (is_on("/proc/sys/vm/compact_unevictable_allowed"))
        smem_preflight_say(p, SECUREMEM_RT_CHECK_COMPACTION, SECUREMEM_RT_WARNING,
                           "compaction may move locked pages, and a touch then waits: "
                           "sysctl vm.compact_unevictable_allowed=0");
    if (is_on("/proc/sys/kernel/numa_balancing"))
        smem_preflight_say(p, SECUREMEM_RT_CHECK_NUMA, SECUREMEM_RT_WARNING,
                           "NUMA balancing unmaps pages to see who touches them: sysctl "
                           "kernel.numa_balancing=0, or bind the process to a node");
}

static void check_merging(struct smem_preflight *p)
{
    if (smem_proc_choice("/sys/kernel/mm/transparent_hugepage/enabled", "[always]") == 1)
        smem_preflight_say(
            p, SECUREMEM_RT_CHECK_HUGE_PAGES, SECUREMEM_RT_NOTE,
            "transparent huge pages are always on; entering turns them off "
            "for this process, whose huge pages stay until they are split");
    if (is_on("/sys/kernel/mm/ksm/run"))
        smem_preflight_say(p, SECUREMEM_RT_CHECK_KSM, SECUREMEM_RT_NOTE,
                           "KSM runs; entering turns merging off for this process, and "
                           "what was advised to be mergeable stays so: MADV_UNMERGEABLE");
}

static void check_swap(struct smem_preflight *p)
{
    if (smem_proc_has_swap() != 1)
        return;
    bool all = p->plan->mode == SECUREMEM_RT_FULL;
    smem_preflight_say(
        p, SECUREMEM_RT_CHECK_SWAP, all ? SECUREMEM_RT_NOTE : SECUREMEM_RT_WARNING,
        all ? "the machine has swap; what is locked does not go there"
            : "the machine has swap, and what the plan does not declare may "
              "go there: MemorySwapMax=0 in systemd, or SECUREMEM_RT_FULL");
}

static void check_witness(struct smem_preflight *p)
{
    static const char path[] = "/proc/sys/kernel/perf_event_paranoid";
    size_t level;
    /* "-1" has no digit at its start, and allows everything. */
    if (smem_proc_setting(path, &level) != 0 || level == SIZE_MAX ||
        level <= PARANOID_MOST)
        return;
    smem_preflight_say(
        p, SECUREMEM_RT_CHECK_PERF, SECUREMEM_RT_WARNING,
        "kernel.perf_event_paranoid is %zu: without CAP_PERFMON sections are "
        "witnessed by getrusage alone; sysctl kernel.perf_event_paranoid=2",
        level);
    smem_preflight_figures(p, PARANOID_MOST, level, 0);
}

void smem_preflight_settings(struct smem_preflight *p)
{
    check_moving(p);
    check_merging(p);
    check_swap(p);
    check_witness(p);
}
