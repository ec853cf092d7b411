/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "realtime/pages.h"
#include "region/error.h"
#include "region/fork.h"

static const char operation[] = "securemem_rt_audit";

struct auditing {
    securemem_rt_audit_report *report;
    const struct smem_proc_map *map;
    int descriptor;
};

static size_t *total_of(securemem_rt_audit_report *report, securemem_rt_finding_kind kind)
{
    switch (kind) {
    case SECUREMEM_RT_NOT_LOCKED:
        return &report->not_locked;
    case SECUREMEM_RT_NOT_PRESENT:
        return &report->not_present;
    case SECUREMEM_RT_SWAPPED:
        return &report->swapped;
    case SECUREMEM_RT_ZERO_PAGE:
        return &report->zero_page;
    case SECUREMEM_RT_SHARED:
        break;
    }
    return &report->shared;
}

static void note(void *context, securemem_rt_finding_kind kind, uintptr_t start,
                 size_t length)
{
    struct auditing *auditing = context;
    securemem_rt_audit_report *report = auditing->report;
    *total_of(report, kind) += length;
    if (report->count++ >= SECUREMEM_RT_FINDINGS)
        return;
    securemem_rt_finding *finding = &report->findings[report->count - 1];
    *finding = (securemem_rt_finding){.kind = kind, .start = start, .length = length};
    memcpy(finding->name, auditing->map->name, sizeof finding->name);
}

static int audit_map(const struct smem_proc_map *map, void *context)
{
    struct auditing *auditing = context;
    if (smem_pages_are_exempt(map))
        return 0;
    auditing->map = map;
    auditing->report->mappings++;
    auditing->report->bytes += map->end - map->start;
    if (!smem_pages_are_locked(map))
        note(auditing, SECUREMEM_RT_NOT_LOCKED, map->start, map->end - map->start);
    return smem_pages_each(auditing->descriptor, &auditing->report->scanned, map, note,
                           auditing);
}

/* Of three files; a refusal of any leaves nothing in the report. */
static int audit_process(int descriptor, securemem_rt_audit_report *report)
{
    struct auditing auditing = {.report = report, .descriptor = descriptor};
    report->scanned = smem_pages_scans(descriptor);
    int result = smem_proc_locked(&report->charged);
    if (result != 0)
        return smem_error_unreadable("/proc/self/status", result);
    result = smem_proc_each_map(audit_map, &auditing);
    return result == 0 ? 0 : smem_error_unreadable("/proc/self/maps", result);
}

int securemem_rt_audit(securemem_rt_audit_report *report)
{
    smem_fork_check();
    if (report == NULL)
        return smem_error_argument(operation, "report is NULL");
    memset(report, 0, sizeof *report);
    int descriptor = smem_pages_descriptor();
    if (descriptor < 0)
        return smem_error_unreadable("/proc/self/pagemap", descriptor);
    int result = audit_process(descriptor, report);
    if (result != 0)
        memset(report, 0, sizeof *report);
    return result;
}
