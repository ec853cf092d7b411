/* SPDX-License-Identifier: ISC */
/* Pages in every state, and what the audit says of them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/fresh.h"
#include "support/seccomp.h"
#include "unit/unit.h"

static securemem_rt_audit_report report;
static size_t page;

/* The pages at address that have a finding of that kind. */
static size_t pages_found(securemem_rt_finding_kind kind, const char *address,
                          size_t pages)
{
    uintptr_t start = (uintptr_t)address, end = start + pages * page;
    size_t found = 0;
    for (size_t i = 0; i < report.count && i < SECUREMEM_RT_FINDINGS; i++) {
        const securemem_rt_finding *f = &report.findings[i];
        uintptr_t from = f->start > start ? f->start : start;
        uintptr_t to = f->start + f->length < end ? f->start + f->length : end;
        if (f->kind == kind && from < to)
            found += (to - from) / page;
    }
    return found;
}

/* So that findings are few, and none is left out. */
static bool lock_all(void)
{
    return mlockall(MCL_CURRENT) == 0;
}

static void audit(void)
{
    NEED(securemem_rt_audit(&report) == 0);
}

/*
 * Whether a page that was only read is the one page of zeros that all share; there are
 * kernels that give each reader a page of its own.
 */
static bool is_page_of_zeros(const char *address)
{
    const uint64_t present = 1UL << 63, exclusive = 1UL << 56; /* Linux 4.2 */
    uint64_t entry = 0;
    int descriptor = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t at = (off_t)((uintptr_t)address / page * sizeof entry);
    NEED(pread(descriptor, &entry, sizeof entry, at) == sizeof entry);
    NEED(close(descriptor) == 0 && (entry & present) != 0);
    return (entry & exclusive) == 0;
}

static int look_at_pages(void *argument)
{
    (void)argument;
    if (!lock_all())
        return SKIP_EXIT;
    char *memory = fresh(8);
    memory[0] = 1;
    NEED(*(volatile char *)(memory + page) == 0);
    memory[3 * page] = 1;
    bool zeros = is_page_of_zeros(memory + page);
    if (!zeros)
        dprintf(STDOUT_FILENO,
                "SKIP: %s: this kernel has no page of zeros that readers share\n",
                __func__);
    audit();
    NEED(pages_found(SECUREMEM_RT_NOT_LOCKED, memory, 8) == 8);
    NEED(pages_found(SECUREMEM_RT_NOT_PRESENT, memory, 1) == 0);
    NEED(pages_found(SECUREMEM_RT_ZERO_PAGE, memory + page, 1) ==
         (zeros && report.scanned));
    NEED(pages_found(SECUREMEM_RT_SHARED, memory + page, 1) ==
         (zeros && !report.scanned));
    NEED(pages_found(SECUREMEM_RT_NOT_PRESENT, memory + 2 * page, 1) == 1);
    NEED(pages_found(SECUREMEM_RT_SHARED, memory + 3 * page, 1) == 0);
    NEED(pages_found(SECUREMEM_RT_NOT_PRESENT, memory + 4 * page, 4) == 4);
    NEED(mlock(memory, 8 * page) == 0);
    audit();
    for (int kind = SECUREMEM_RT_NOT_LOCKED; kind <= SECUREMEM_RT_SHARED; kind++)
        NEED(pages_found((securemem_rt_finding_kind)kind, memory, 8) == 0);
    return 0;
}

static int look_without_scan(void *argument)
{
    if (!seccomp_answer(SYS_ioctl, EINVAL))
        return SKIP_EXIT;
    audit();
    NEED(!report.scanned);
    return look_at_pages(argument);
}

static int look_after_fork(void *argument)
{
    (void)argument;
    char *memory = fresh(4);
    memset(memory, 1, 4 * page);
    if (!lock_all())
        return SKIP_EXIT;
    audit();
    NEED(pages_found(SECUREMEM_RT_SHARED, memory, 4) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    memory[page] = 2; /* copied by now */
    audit();
    NEED(pages_found(SECUREMEM_RT_SHARED, memory, 4) == 3);
    NEED(pages_found(SECUREMEM_RT_SHARED, memory + page, 1) == 0);
    NEED(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    return 0;
}

static int look_at_secrets(void *argument)
{
    securemem_guard_kind kind = *(securemem_guard_kind *)argument;
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = kind, .idle = SIZE_MAX});
    char *secrets[40];
    for (int i = 0; i < 40; i++)
        NEED((secrets[i] = securemem_arena_alloc(arena, 100)) != NULL);
    for (int i = 0; i < 40; i += 3)
        securemem_free(secrets[i]);
    if (!lock_all())
        return SKIP_EXIT;
    audit();
    for (int i = 1; i < 40; i += 3)
        for (int k = SECUREMEM_RT_NOT_LOCKED; k <= SECUREMEM_RT_SHARED; k++)
            NEED(pages_found((securemem_rt_finding_kind)k, first_page(secrets[i], 100),
                             1) == 0);
    for (size_t i = 0; i < report.count; i++) /* nor guards, nor what is unused */
        NEED(strstr(report.findings[i].name, "securemem") == NULL);
    return 0;
}

static int look_when_not_dumpable(void *argument)
{
    (void)argument;
    audit();
    if (!child_become_ordinary(8UL << 20) || prctl(PR_SET_DUMPABLE, 0) != 0)
        return SKIP_EXIT;
    char *memory = fresh(1);
    audit();
    NEED(pages_found(SECUREMEM_RT_NOT_PRESENT, memory, 1) == 1 ||
         report.count > SECUREMEM_RT_FINDINGS);
    return 0;
}

/* The control: why the descriptor is kept. */
static int look_first_when_not_dumpable(void *argument)
{
    (void)argument;
    if (!child_become_ordinary(8UL << 20) || prctl(PR_SET_DUMPABLE, 0) != 0)
        return SKIP_EXIT;
    report.count = report.bytes = 7;
    NEED(securemem_rt_audit(&report) == -EPERM);
    NEED(strstr(securemem_last_error()->message, "dumpable") != NULL);
    NEED(report.count == 0 && report.bytes == 0);
    NEED(prctl(PR_SET_DUMPABLE, 1) == 0);
    audit();
    return 0;
}

/* The witness's own ring can never be locked, and harms nobody. */
static int look_at_ring(void *argument)
{
    (void)argument;
    securemem_rt_section section = {0};
    NEED(securemem_rt_section_begin(&section) == 0);
    if (section.witness != SECUREMEM_RT_WITNESS_PERF || !lock_all())
        return SKIP_EXIT;
    audit();
    NEED(report.count <= SECUREMEM_RT_FINDINGS);
    for (size_t i = 0; i < report.count; i++)
        NEED(strstr(report.findings[i].name, "anon_inode") == NULL);
    NEED(securemem_rt_section_end(&section) == 0);
    return 0;
}

/* The totals against maps and status, as this test reads them. */
static int add_up(void *argument)
{
    (void)argument;
    if (!lock_all())
        return SKIP_EXIT;
    char *memory = fresh(100);
    audit();
    size_t before = report.not_locked, bytes = report.bytes, absent = report.not_present;
    NEED(report.charged == view_locked_bytes());
    NEED(bytes <= view_locked_bytes() + 100 * page);
    NEED(before == 100 * page && absent == 100 * page);
    NEED(mlock(memory, 60 * page) == 0);
    audit();
    NEED(report.charged == view_locked_bytes());
    NEED(report.not_locked == 40 * page && report.not_present == 40 * page);
    NEED(report.bytes == bytes);
    return 0;
}

/* More findings than there is room for: alternate pages of a mapping. */
static int look_at_many(void *argument)
{
    enum { PAGES = 4 * SECUREMEM_RT_FINDINGS };
    (void)argument;
    if (!lock_all())
        return SKIP_EXIT;
    char *memory = fresh(PAGES);
    for (size_t i = 0; i < PAGES; i += 2)
        memory[i * page] = 1;
    audit();
    NEED(report.count == 1 + PAGES / 2); /* not locked, and each that is not there */
    NEED(report.not_present == PAGES / 2 * page);
    for (size_t i = 1; i < SECUREMEM_RT_FINDINGS; i++)
        NEED(report.findings[i].start == (uintptr_t)memory + (2 * i - 1) * page &&
             report.findings[i].length == page);
    return 0;
}

#define HOLDS(name, body, argument)                                                      \
    static void name(void **state)                                                       \
    {                                                                                    \
        (void)state;                                                                     \
        if (child_skips(body, argument))                                                 \
            SKIP("mlockall, seccomp or another user is refused here");                   \
    }

HOLDS(pages_are_told_by_their_state, look_at_pages, NULL)
HOLDS(without_pagemap_scan_pages_are_told_by_pagemap, look_without_scan, NULL)
HOLDS(pages_that_a_child_has_too_are_told, look_after_fork, NULL)
HOLDS(who_audited_before_can_when_it_is_not_dumpable, look_when_not_dumpable, NULL)
HOLDS(who_did_not_is_told_why_it_cannot, look_first_when_not_dumpable, NULL)
HOLDS(the_ring_of_a_witness_is_no_finding, look_at_ring, NULL)
HOLDS(totals_are_those_of_the_kernel, add_up, NULL)
HOLDS(findings_without_room_are_counted, look_at_many, NULL)

static void secrets_and_their_guards_are_no_findings(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++)
        if (child_skips(look_at_secrets, &kinds[k]))
            SKIP("mlockall is refused here");
}

static void no_report_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(securemem_rt_audit(NULL), -EINVAL);
}

int main(void)
{
    page = view_page_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_told_by_their_state),
        cmocka_unit_test(without_pagemap_scan_pages_are_told_by_pagemap),
        cmocka_unit_test(pages_that_a_child_has_too_are_told),
        cmocka_unit_test(secrets_and_their_guards_are_no_findings),
        cmocka_unit_test(who_audited_before_can_when_it_is_not_dumpable),
        cmocka_unit_test(who_did_not_is_told_why_it_cannot),
        cmocka_unit_test(the_ring_of_a_witness_is_no_finding),
        cmocka_unit_test(totals_are_those_of_the_kernel),
        cmocka_unit_test(findings_without_room_are_counted),
        cmocka_unit_test(no_report_is_an_error),
    };
    return RUN_GROUP(tests);
}
