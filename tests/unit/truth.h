/* SPDX-License-Identifier: ISC */
/* Holding the library's report of a secret against the kernel's own. */
#ifndef TEST_TRUTH_H
#define TEST_TRUTH_H

#include "unit/unit.h"

/*
 * 0 where securemem_protection of the secret says what smaps, its permissions and probes
 * of its neighbours say; 1, with a line on descriptor 2, where not. For children too.
 */
static inline int report_is_true(const char *secret, size_t size)
{
    static const char *const permissions[] = {"---p", "r--p", "rw-p"};
    securemem_protection report;
    struct view view;
    const char *first = first_page(secret, size), *last = guard_behind(secret, size) - 1;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.witness == SECUREMEM_WITNESS_SMAPS);
    NEED(view_at(last, &view));
    NEED(report.lock.holds == view_has(&view, "lo"));
    NEED(report.no_dump.holds == view_has(&view, "dd"));
    NEED(report.no_merge.holds == !view_has(&view, "mg"));
    if (report.fork == SECUREMEM_FORK_WIPE)
        NEED(report.fork_safety.holds == view_has(&view, "wf"));
    if (report.fork == SECUREMEM_FORK_DROP)
        NEED(report.fork_safety.holds == view_has(&view, "dc"));
    NEED(strcmp(view.permissions, permissions[report.access]) == 0);
    if (report.guard_kind != SECUREMEM_GUARDS_AUTO)
        NEED(report.guards.holds ==
             (!view_readable(first - 1) && !view_readable(last + 1)));
    else
        NEED(report.guards.holds == 0);
    NEED(report.size == size);
    NEED(report.pages_size == (size_t)(last + 1 - first));
    return 0;
}

#endif
