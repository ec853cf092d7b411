/* SPDX-License-Identifier: ISC */
/* What is reported of a secret of several pages is what each of them has, guards included. */
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/unit.h"

#define PAGES 3

static char *secret;
static size_t page;

static securemem_protection report_now(void)
{
    securemem_protection report;
    assert_int_equal(securemem_protection(secret, &report), 0);
    return report;
}

static char *make(void)
{
    page = view_page_size();
    securemem_arena *arena =
        arena_of((securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    secret = securemem_arena_alloc(arena, PAGES * page);
    assert_non_null(secret);
    securemem_protection report = report_now();
    assert_true(report.lock.holds && report.no_dump.holds && report.guards.holds);
    return secret;
}

/* Not through the C library: AddressSanitizer lets nobody lock there. */
static void set_lock(long call, char *start)
{
    assert_int_equal(syscall(call, start, page), 0);
}

static void one_page_without_a_lock_is_no_lock(void **state)
{
    (void)state;
    make();
    for (size_t i = 0; i < PAGES; i++) {
        set_lock(SYS_munlock, secret + i * page);
        assert_false(report_now().lock.holds);
        set_lock(SYS_mlock, secret + i * page);
        assert_true(report_now().lock.holds);
    }
    securemem_free(secret);
}

static void one_page_in_a_core_is_dumped(void **state)
{
    (void)state;
    make();
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(madvise(secret + i * page, page, MADV_DODUMP), 0);
        assert_false(report_now().no_dump.holds);
        assert_int_equal(madvise(secret + i * page, page, MADV_DONTDUMP), 0);
        assert_true(report_now().no_dump.holds);
    }
    securemem_free(secret);
}

static void one_guard_that_opens_is_no_guard(void **state)
{
    (void)state;
    make();
    char *guards[] = {secret - page, secret + PAGES * page};
    for (size_t i = 0; i < COUNT(guards); i++) {
        assert_int_equal(mprotect(guards[i], page, PROT_READ), 0);
        assert_false(report_now().guards.holds);
        assert_int_equal(mprotect(guards[i], page, PROT_NONE), 0);
        assert_true(report_now().guards.holds);
    }
    securemem_free(secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_page_without_a_lock_is_no_lock),
        cmocka_unit_test(one_page_in_a_core_is_dumped),
        cmocka_unit_test(one_guard_that_opens_is_no_guard),
    };
    return RUN_GROUP(tests);
}
