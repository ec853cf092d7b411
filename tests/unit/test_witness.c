/* SPDX-License-Identifier: ISC */
/* The report follows the kernel when something else than the library changes pages. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/truth.h"

#define SET_MEMORY_MERGE 67 /* PR_SET_MEMORY_MERGE, Linux 6.4 */

/* Secrets of three pages, since a change may hit one page of several. */
struct subject {
    securemem_arena *arena;
    char *secret;
    size_t size;
};

static struct subject subject_of(securemem_arena_options options)
{
    struct subject subject = {arena_of(options), NULL, 3 * view_page_size()};
    subject.secret = securemem_arena_alloc(subject.arena, subject.size);
    assert_non_null(subject.secret);
    assert_int_equal(report_is_true(subject.secret, subject.size), 0);
    return subject;
}

static securemem_protection report_of(const struct subject *subject)
{
    securemem_protection report;
    assert_int_equal(securemem_protection(subject->secret, &report), 0);
    return report;
}

/* The address and thread sanitizers replace munlock(2), so it is called directly. */
static void a_lock_that_was_taken_away_is_not_reported(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds), page = view_page_size();
    for (size_t k = 0; k < count; k++)
        for (size_t at = 0; at < 3; at++) {
            struct subject s =
                subject_of((securemem_arena_options){.guard_kind = kinds[k]});
            char *victim = s.secret + at * page;
            assert_int_equal(report_of(&s).lock.holds, 1);
            assert_int_equal(syscall(SYS_munlock, victim, page), 0);
            assert_int_equal(report_of(&s).lock.holds, 0);
            assert_int_equal(syscall(SYS_mlock, victim, page), 0);
            assert_int_equal(report_of(&s).lock.holds, 1);
            securemem_arena_destroy(s.arena);
        }
}

static void advice_that_was_taken_back_is_not_reported(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3; at++) {
        struct subject s = subject_of((securemem_arena_options){0});
        char *victim = s.secret + at * view_page_size();
        assert_int_equal(madvise(victim, view_page_size(), MADV_DODUMP), 0);
        assert_int_equal(report_of(&s).no_dump.holds, 0);
        assert_int_equal(report_of(&s).fork_safety.holds, 1);
        assert_int_equal(madvise(victim, view_page_size(), MADV_KEEPONFORK), 0);
        assert_int_equal(report_of(&s).fork_safety.holds, 0);
        assert_int_equal(report_of(&s).lock.holds, 1);
        securemem_arena_destroy(s.arena);

        s = subject_of((securemem_arena_options){.fork = SECUREMEM_FORK_DROP});
        victim = s.secret + at * view_page_size();
        assert_int_equal(madvise(victim, view_page_size(), MADV_DOFORK), 0);
        assert_int_equal(report_of(&s).fork_safety.holds, 0);
        securemem_arena_destroy(s.arena);
    }
}

static void a_guard_that_was_opened_is_not_reported(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++)
        for (int behind = 0; behind < 2; behind++) {
            struct subject s =
                subject_of((securemem_arena_options){.guard_kind = kinds[k]});
            char *guard = behind ? s.secret + s.size : s.secret - page;
            assert_int_equal(report_of(&s).guards.holds, 1);
            if (kinds[k] == SECUREMEM_GUARDS_REGION)
                assert_int_equal(madvise(guard, page, ADVICE_GUARD_REMOVE), 0);
            else
                assert_int_equal(mprotect(guard, page, PROT_READ), 0);
            assert_int_equal(report_of(&s).guards.holds, 0);
            assert_int_equal(report_of(&s).lock.holds, 1);
            securemem_arena_destroy(s.arena);
        }
}

static void access_that_was_changed_by_hand_is_reported(void **state)
{
    (void)state;
    struct subject s = subject_of((securemem_arena_options){0});
    assert_int_equal(mprotect(s.secret, s.size, PROT_READ), 0);
    assert_int_equal(report_of(&s).access, SECUREMEM_READ);
    assert_int_equal(mprotect(s.secret, s.size, PROT_NONE), 0);
    assert_int_equal(report_of(&s).access, SECUREMEM_NONE);
    assert_int_equal(mprotect(s.secret, s.size, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(report_of(&s).access, SECUREMEM_WRITE);
    securemem_arena_destroy(s.arena);
}

static void a_report_is_of_live_secrets_only(void **state)
{
    (void)state;
    securemem_protection report;
    memset(&report, 0x5a, sizeof report);
    char *secret = securemem_alloc(8);
    assert_non_null(secret);
    assert_int_equal(securemem_protection(secret, NULL), -EINVAL);
    assert_int_equal(securemem_protection(secret + 1, &report), -EINVAL);
    assert_int_equal(securemem_protection(NULL, &report), -EINVAL);
    assert_int_equal(securemem_protection(&report, &report), -EINVAL);
    securemem_free(secret);
    assert_int_equal(securemem_protection(secret, &report), -EINVAL);
    assert_true(all_bytes_are(&report, sizeof report, 0x5a));
}

/* In a child, since the prctl marks all memory of the process for KSM. */
static int merge_marks(void *unused)
{
    (void)unused;
    if (prctl(SET_MEMORY_MERGE, 1, 0, 0, 0) != 0)
        return SKIP_EXIT;
    for (int policy = SECUREMEM_REQUIRED; policy <= SECUREMEM_OFF; policy++) {
        securemem_arena *arena = securemem_arena_create(
            &(securemem_arena_options){.no_merge = (securemem_policy)policy});
        NEED(arena != NULL);
        char *secret = securemem_arena_alloc(arena, 3 * view_page_size());
        NEED(secret != NULL);
        struct view view;
        NEED(view_at(secret, &view));
        NEED(view_has(&view, "mg") == (policy == SECUREMEM_OFF));
        NEED(report_is_true(secret, 3 * view_page_size()) == 0);
    }
    return 0;
}

static void a_process_that_merges_its_memory_does_not_merge_secrets(void **state)
{
    (void)state;
    if (child_skips(merge_marks, NULL))
        SKIP("prctl(PR_SET_MEMORY_MERGE) is refused here");
}

static securemem_arena *calls_arena;

/* Without a descriptor to spare, smaps cannot be opened. */
static int no_smaps(void *unused)
{
    (void)unused;
    struct rlimit none = {0, 0};
    NEED(setrlimit(RLIMIT_NOFILE, &none) == 0);
    size_t page = view_page_size();
    char *secret = securemem_arena_alloc(calls_arena, 3 * page);
    NEED(secret != NULL);
    securemem_protection report;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.witness == SECUREMEM_WITNESS_CALLS);
    NEED(report.lock.holds && report.guards.holds && report.no_dump.holds);
    NEED(report.fork_safety.holds && report.no_merge.holds);
    NEED(syscall(SYS_munlock, secret, 3 * page) == 0);
    NEED(mprotect(secret + 3 * page, page, PROT_READ) == 0);
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.lock.holds == 0 && report.guards.holds == 0);
    NEED(syscall(SYS_mlock, secret, page) == 0); /* not all of it */
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.lock.holds == 0);
    return 0;
}

static void without_smaps_lock_and_guards_are_still_probed(void **state)
{
    (void)state;
    calls_arena =
        arena_of((securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    CHILD_PASSES(no_smaps, NULL);
    securemem_arena_destroy(calls_arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_that_was_taken_away_is_not_reported),
        cmocka_unit_test(advice_that_was_taken_back_is_not_reported),
        cmocka_unit_test(a_guard_that_was_opened_is_not_reported),
        cmocka_unit_test(access_that_was_changed_by_hand_is_reported),
        cmocka_unit_test(a_report_is_of_live_secrets_only),
        cmocka_unit_test(a_process_that_merges_its_memory_does_not_merge_secrets),
        cmocka_unit_test(without_smaps_lock_and_guards_are_still_probed),
    };
    return RUN_GROUP(tests);
}
