/* SPDX-License-Identifier: ISC */
/* Every call to the kernel is refused once, in every public call, and what must hold
 * does. */
#include <securemem.h>
#include <string.h>

#include "faults/drive.h"
#include "faults/plans.h"
#include "faults/wrap.h"
#include "support/child.h"
#include "support/skip.h"
#include "support/view.h"

static struct tally all;

static void play_all(const struct scenario *scenarios, size_t count, unsigned long least)
{
    struct tally tally = {0};
    drive(scenarios, count, &tally);
    all.points += tally.points;
    all.findings += tally.findings;
    assert_int_equal(tally.findings, 0);
    /* A harness that meets no faults may not pass. */
    assert_true(tally.points > plans_tried(least) / drive_stride());
}

static void allocation_under_every_fault_protects_or_refuses(void **state)
{
    (void)state;
    play_all(alloc_scenarios, alloc_scenario_count, 5000);
}

static void resizing_and_access_under_every_fault_keep_the_secret(void **state)
{
    (void)state;
    play_all(change_scenarios, change_scenario_count, 5000);
}

static void release_under_every_fault_wipes_or_holds(void **state)
{
    (void)state;
    play_all(release_scenarios, release_scenario_count, 1000);
}

static void packed_secrets_under_every_fault_are_protected_or_refused(void **state)
{
    (void)state;
    play_all(packed_scenarios, packed_scenario_count, 3000);
}

static void reports_and_wiping_under_every_fault_are_true(void **state)
{
    (void)state;
    play_all(report_scenarios, report_scenario_count, 500);
}

static void fork_under_every_fault_gives_the_child_no_unprotected_secret(void **state)
{
    (void)state;
    play_all(fork_scenarios, fork_scenario_count, 500);
}

/* An allocator that does not look at what its locks gave, seen by the same checks. */
static int play_without_locks(void *argument)
{
    (void)argument;
    const struct variant variant = {
        .kind = SECUREMEM_GUARDS_PROT_NONE, .size = 48, .policy = SECUREMEM_REQUIRED};
    stage_make_elders(variant.kind);
    (void)drive_once(&alloc_scenarios[0], &variant); /* makes the pools, which stay */
    if (drive_once(&alloc_scenarios[0], &variant) != NULL)
        return 1;
    fault_ignore_locks(true);
    const char *wrong = drive_once(&alloc_scenarios[0], &variant);
    return wrong != NULL && strstr(wrong, "lock") != NULL ? 0 : 2;
}

static void an_allocator_that_ignores_its_locks_is_found_out(void **state)
{
    (void)state;
    struct child_end end;
    child_run(play_without_locks, NULL, &end);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.exit_code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocator_that_ignores_its_locks_is_found_out),
        cmocka_unit_test(allocation_under_every_fault_protects_or_refuses),
        cmocka_unit_test(resizing_and_access_under_every_fault_keep_the_secret),
        cmocka_unit_test(release_under_every_fault_wipes_or_holds),
        cmocka_unit_test(packed_secrets_under_every_fault_are_protected_or_refused),
        cmocka_unit_test(reports_and_wiping_under_every_fault_are_true),
        cmocka_unit_test(fork_under_every_fault_gives_the_child_no_unprotected_secret),
    };
    if (!view_guard_regions_exist())
        printf("NOTE: this kernel has no guard regions: guards of PROT_NONE alone\n");
    int status = RUN_GROUP(tests);
    printf("NOTE: %lu fault points, %u findings\n", all.points, all.findings);
    return status;
}
