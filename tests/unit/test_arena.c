/* SPDX-License-Identifier: ISC */
/* Arenas: their options, budget and end. */
#include <errno.h>

#include "unit/unit.h"

static void refused(securemem_arena_options options, int code, const char *why)
{
    errno = 0;
    assert_null(securemem_arena_create(&options));
    assert_int_equal(errno, code);
    assert_int_equal(securemem_last_error()->code, code);
    assert_non_null(strstr(securemem_last_error()->message, why));
}

static void never_called(securemem_arena *arena, size_t remaining, void *user)
{
    (void)arena;
    (void)remaining;
    (void)user;
    fail();
}

static void options_out_of_range_are_refused_with_their_name(void **state)
{
    (void)state;
    const int none_such[] = {-1, 4, 99};
    for (size_t i = 0; i < COUNT(none_such); i++) {
        securemem_policy policy = (securemem_policy)none_such[i];
        refused((securemem_arena_options){.lock = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.guards = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.no_dump = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.fork_safety = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.no_merge = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.canaries = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.secret_memory = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.protection_key = policy}, EINVAL, "policy");
        refused((securemem_arena_options){.fork = (securemem_fork)none_such[i]}, EINVAL,
                ".fork");
        refused(
            (securemem_arena_options){.guard_kind = (securemem_guard_kind)none_such[i]},
            EINVAL, ".guard_kind");
        refused((securemem_arena_options){.placement = (securemem_placement)none_such[i]},
                EINVAL, ".placement");
    }
    refused((securemem_arena_options){.low = 1}, EINVAL, ".low");
    refused((securemem_arena_options){.on_low = never_called}, EINVAL, ".on_low");
    for (size_t i = 0; i < COUNT(((securemem_arena_options *)NULL)->reserved); i++) {
        securemem_arena_options options = {0};
        options.reserved[i] = 1;
        refused(options, EINVAL, ".reserved");
    }
}

/* What is in nobody's options is asked for, or not, as it is said of the default. */
static void a_default_is_what_it_says(void **state)
{
    (void)state;
    securemem_arena *arena = securemem_arena_create(NULL);
    char *secret = securemem_arena_alloc(arena, 8);
    securemem_protection report;
    assert_int_equal(securemem_protection(secret, &report), 0);
    const securemem_policy strong[] = {report.lock.asked, report.guards.asked,
                                       report.no_dump.asked, report.fork_safety.asked,
                                       report.no_merge.asked};
    for (size_t i = 0; i < COUNT(strong); i++)
        assert_int_equal(strong[i], SECUREMEM_REQUIRED);
    assert_int_equal(report.secret_memory.asked, SECUREMEM_OFF);
    assert_int_equal(report.protection_key.asked, SECUREMEM_OFF);
    securemem_arena_destroy(arena);
}

static void an_empty_arena_charges_nothing(void **state)
{
    (void)state;
    size_t locked = view_locked_bytes();
    securemem_arena *arena = securemem_arena_create(NULL);
    assert_non_null(arena);
    assert_int_equal(view_locked_bytes(), locked);
    securemem_arena_destroy(arena);
}

static void options_are_copied(void **state)
{
    (void)state;
    securemem_arena_options options = {.lock = SECUREMEM_OFF};
    securemem_arena *arena = securemem_arena_create(&options);
    assert_non_null(arena);
    memset(&options, 0, sizeof options);
    char *secret = securemem_arena_alloc(arena, 8);
    securemem_protection report;
    assert_int_equal(securemem_protection(secret, &report), 0);
    assert_int_equal(report.lock.asked, SECUREMEM_OFF);
    securemem_arena_destroy(arena);
}

/* Three pages: three small secrets with PROT_NONE guards, one with guard regions. */
static void a_budget_refuses_what_is_beyond_and_a_free_makes_room(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena = arena_of(
            (securemem_arena_options){.guard_kind = kinds[k], .budget = 3 * page});
        size_t locked = view_locked_bytes();
        char *secrets[4];
        size_t fit = 0;
        while (fit < COUNT(secrets) &&
               (secrets[fit] = securemem_arena_alloc(arena, 1)) != NULL)
            fit++;
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(securemem_last_error()->kernel_code, 0);
        assert_int_equal(securemem_last_error()->limit, 3 * page);
        assert_int_equal(fit, kinds[k] == SECUREMEM_GUARDS_REGION ? 1 : 3);
        assert_int_equal(view_locked_bytes() - locked, 3 * page);
        assert_null(securemem_arena_alloc(arena, 8 * page));
        assert_int_equal(errno, ENOMEM);

        securemem_free(secrets[fit - 1]);
        secrets[fit - 1] = securemem_arena_alloc(arena, 1);
        assert_non_null(secrets[fit - 1]);
        for (size_t i = 0; i < fit; i++)
            securemem_free(secrets[i]);
        char *other = securemem_arena_alloc(arena, page);
        assert_non_null(other);
        securemem_arena_destroy(arena);
        assert_int_equal(view_locked_bytes(), locked);
    }
}

/* Whether the guards of such an arena are mappings of their own, by what the kernel shows. */
static bool has_mapped_guards(size_t budget)
{
    securemem_arena *arena = arena_of((securemem_arena_options){.budget = budget});
    char *secret = securemem_arena_alloc(arena, 1);
    assert_non_null(secret);
    bool mapped = permissions_are(guard_behind(secret, 1), "---p");
    assert_true(mapped || permissions_are(guard_behind(secret, 1), "rw-p"));
    securemem_arena_destroy(arena);
    return mapped;
}

/*
 * A guard region charges its page, a mapping counts as one: where the lock limit or the
 * budget ends before the mappings do, a secret is to cost no second page.
 */
static void guards_are_such_that_more_secrets_fit(void **state)
{
    (void)state;
    size_t page = view_page_size(), mappings = budget_now().mapping_limit;
    assert_true(has_mapped_guards(page * 100));
    if (mappings < SIZE_MAX / 4 / page)
        assert_int_equal(has_mapped_guards(page * mappings * 2), has_mapped_guards(0));
    if (!view_guard_regions_exist() || !budget_now().lock_unlimited)
        SKIP("there are no guard regions, or the lock limit is the smaller one here");
    assert_false(has_mapped_guards(0));
}

/* Idle memory of one size gives way to a secret of another. */
static void idle_memory_does_not_hold_the_budget(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_arena *arena = arena_of((securemem_arena_options){
        .guard_kind = SECUREMEM_GUARDS_PROT_NONE, .budget = 3 * page, .idle = SIZE_MAX});
    void *small[3];
    for (size_t i = 0; i < COUNT(small); i++) {
        small[i] = securemem_arena_alloc(arena, 1);
        assert_non_null(small[i]);
    }
    assert_null(securemem_arena_alloc(arena, 3 * page));
    for (size_t i = 0; i < COUNT(small); i++)
        securemem_free(small[i]);
    void *large = securemem_arena_alloc(arena, 3 * page);
    assert_non_null(large);
    securemem_arena_destroy(arena);
}

static void destroying_gives_back_locks_mappings_and_secrets(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    size_t mappings = 0, locked = view_locked_bytes(), secrets = budget_now().secrets;
    for (size_t round = 0; round < 3; round++)
        for (size_t k = 0; k < count; k++) {
            securemem_arena *arena = arena_of(
                (securemem_arena_options){.guard_kind = kinds[k], .idle = 8 * page});
            void *last = NULL;
            for (size_t i = 0; i < 100; i++) {
                size_t size = (i * 37) % (3 * page);
                last = securemem_arena_alloc(arena, size);
                assert_non_null(last);
                if (size > 0)
                    memset(last, 1, size);
                if (i % 3 == 0)
                    assert_int_equal(securemem_set_access(last, SECUREMEM_NONE), 0);
                if (i % 5 == 0)
                    securemem_free(last);
            }
            assert_int_equal(budget_now().secrets, secrets + 80);
            securemem_arena_destroy(arena);
            assert_int_equal(view_locked_bytes(), locked);
            assert_int_equal(budget_now().charged, locked);
            assert_int_equal(budget_now().secrets, secrets);
            if (round == 0)
                mappings = view_mappings(); /* warm: bookkeeping stays */
            else
                assert_true(view_mappings() <= mappings);
        }
}

#define MANY 1000

static void a_thousand_arenas_come_and_go_without_a_trace(void **state)
{
    (void)state;
    static securemem_arena *arenas[MANY];
    size_t mappings = 0, locked = view_locked_bytes();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            arenas[i] = arena_of((securemem_arena_options){0});
            /* An odd number meets all places for an arena's cache that a thread has. */
            if (i % 9 == 0)
                assert_non_null(securemem_arena_alloc(arenas[i], 16));
        }
        for (size_t i = 0; i < MANY; i++)
            securemem_arena_destroy(arenas[i]);
        for (size_t i = 0; i < MANY; i++) {
            securemem_arena *arena = arena_of((securemem_arena_options){0});
            assert_non_null(securemem_arena_alloc(arena, 16));
            securemem_arena_destroy(arena);
        }
        assert_int_equal(view_locked_bytes(), locked);
        if (round == 0)
            mappings = view_mappings();
    }
    assert_true(view_mappings() <= mappings);
}

/* The next arena may take over its bookkeeping, and with luck its addresses. */
static void what_was_known_of_an_arenas_secrets_ends_with_it(void **state)
{
    (void)state;
    const securemem_arena_options packed = {.placement = SECUREMEM_PACKED};
    void *old[100];
    size_t again = 0;
    for (size_t round = 0; round < 10; round++) {
        securemem_arena *arena = arena_of(packed);
        for (size_t i = 0; i < COUNT(old); i++)
            assert_non_null(old[i] = securemem_arena_alloc(arena, 32));
        securemem_arena_destroy(arena);

        arena = arena_of(packed);
        void *own = securemem_arena_alloc(arena, 32);
        assert_non_null(own);
        for (size_t i = 0; i < COUNT(old); i++) {
            again +=
                (uintptr_t)old[i] / view_page_size() == (uintptr_t)own / view_page_size();
            assert_true(old[i] == own || securemem_size(old[i]) == 0);
        }
        assert_int_equal(budget_now().secrets, 1);
        securemem_arena_destroy(arena);
    }
    assert_true(again > 0); /* else none of this was put to the test */
}

static void a_destroyed_arena_is_refused(void **state)
{
    (void)state;
    securemem_arena *arena = securemem_arena_create(NULL);
    assert_non_null(arena);
    securemem_arena_destroy(arena);
    int not_an_arena = 0;
    securemem_arena *bad[] = {NULL, arena, (securemem_arena *)(void *)&not_an_arena,
                              (securemem_arena *)(void *)((char *)arena + 8)};
    for (size_t i = 0; i < COUNT(bad); i++) {
        errno = 0;
        assert_null(securemem_arena_alloc(bad[i], 8));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(securemem_last_error()->code, EINVAL);
        assert_int_equal(securemem_arena_trim(bad[i]), -EINVAL);
    }
}

static void the_default_arena_is_one_and_behind_the_short_calls(void **state)
{
    (void)state;
    securemem_arena *arena = securemem_default_arena();
    assert_non_null(arena);
    assert_ptr_equal(securemem_default_arena(), arena);
    void *secret = securemem_alloc(8);
    assert_non_null(secret);
    securemem_arena_free(arena, secret); /* elsewhere it would be misuse, and abort */
    assert_int_equal(securemem_arena_trim(arena), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_out_of_range_are_refused_with_their_name),
        cmocka_unit_test(a_default_is_what_it_says),
        cmocka_unit_test(an_empty_arena_charges_nothing),
        cmocka_unit_test(options_are_copied),
        cmocka_unit_test(a_budget_refuses_what_is_beyond_and_a_free_makes_room),
        cmocka_unit_test(guards_are_such_that_more_secrets_fit),
        cmocka_unit_test(idle_memory_does_not_hold_the_budget),
        cmocka_unit_test(destroying_gives_back_locks_mappings_and_secrets),
        cmocka_unit_test(a_thousand_arenas_come_and_go_without_a_trace),
        cmocka_unit_test(what_was_known_of_an_arenas_secrets_ends_with_it),
        cmocka_unit_test(a_destroyed_arena_is_refused),
        cmocka_unit_test(the_default_arena_is_one_and_behind_the_short_calls),
    };
    return RUN_GROUP(tests);
}
