/* SPDX-License-Identifier: ISC */
/* Guarded secrets that one thread frees and another allocates: more than a thread caches. */
#include <errno.h>
#include <pthread.h>

#include "unit/unit.h"

#define MANY 200

struct many {
    securemem_arena *arena;
    size_t size;
    char *secrets[MANY];
};

static struct many many_of(securemem_guard_kind kind, size_t idle, size_t budget)
{
    securemem_arena_options options = {
        .guard_kind = kind, .idle = idle, .budget = budget};
    return (struct many){.arena = arena_of(options)};
}

static void alloc_all(struct many *many, size_t size)
{
    many->size = size;
    for (size_t i = 0; i < MANY; i++) {
        char *secret = securemem_arena_alloc(many->arena, size);
        NEED(secret != NULL);
        NEED(all_bytes_are(secret, size, 0));
        NEED(no_byte_is_zero(first_page(secret, size), secret));
        NEED(no_byte_is_zero(secret + size, guard_behind(secret, size)));
        memset(secret, 0x5a, size);
        many->secrets[i] = secret;
    }
}

static void *free_all(void *argument)
{
    const struct many *many = argument;
    for (size_t i = 0; i < MANY; i++)
        securemem_free(many->secrets[i]);
    return NULL;
}

static void free_elsewhere(struct many *many)
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, free_all, many) == 0);
    NEED(pthread_join(thread, NULL) == 0);
}

static void what_one_thread_frees_another_is_given(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++) {
        struct many many = many_of(kinds[k], SIZE_MAX, 0);
        alloc_all(&many, 100);
        size_t locked = view_locked_bytes();
        for (size_t round = 0; round < 6; round++) {
            free_elsewhere(&many);
            assert_int_equal(view_locked_bytes(), locked);
            for (size_t i = 0; i < MANY; i++)
                assert_true(all_bytes_are(many.secrets[i], many.size, 0));
            alloc_all(&many, 40 + 500 * round); /* of other sizes too */
            assert_int_equal(view_locked_bytes(), locked);
        }
        assert_int_equal(securemem_arena_check(many.arena), 0);
        assert_int_equal(budget_now().charged, locked);
        securemem_arena_destroy(many.arena);
    }
}

static void no_more_stays_there_than_may_be_idle(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (size_t idle = 0; idle <= 40; idle += 8) {
        size_t before = view_locked_bytes();
        struct many many = many_of(SECUREMEM_GUARDS_PROT_NONE, idle * page, 0);
        alloc_all(&many, 100);
        assert_int_equal(view_locked_bytes(), before + MANY * page);
        free_elsewhere(&many);
        assert_true(view_locked_bytes() <= before + idle * page);
        alloc_all(&many, 100);
        free_all(&many);
        assert_true(view_locked_bytes() <= before + idle * page);
        securemem_arena_destroy(many.arena);
        assert_int_equal(view_locked_bytes(), before);
    }
}

/* What went through the depot is nobody's part of what may be idle any more. */
static void what_is_taken_from_there_is_not_counted_there(void **state)
{
    (void)state;
    size_t page = view_page_size(), before = view_locked_bytes();
    struct many many = many_of(SECUREMEM_GUARDS_PROT_NONE, 80 * page, 0);
    for (int round = 0; round < 10; round++) {
        alloc_all(&many, 100);
        free_elsewhere(&many);
    }
    alloc_all(&many, 100);
    free_all(&many);
    assert_in_range(view_locked_bytes() - before, 60 * page, 80 * page);
    securemem_arena_destroy(many.arena);
}

/* As many pages as the budget has are there; another size, or a reserve, needs them. */
static void it_stands_in_nobodys_way(void **state)
{
    (void)state;
    size_t page = view_page_size();
    struct many many = many_of(SECUREMEM_GUARDS_PROT_NONE, SIZE_MAX, MANY * page);
    alloc_all(&many, 100);
    assert_null(securemem_arena_alloc(many.arena, 100));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(securemem_arena_remaining(many.arena), 0);
    size_t locked = view_locked_bytes();
    free_elsewhere(&many);
    assert_true(securemem_arena_remaining(many.arena) > (MANY - 40) * page);
    assert_int_equal(securemem_arena_reserve(many.arena, 60 * page), 0);
    assert_int_equal(view_locked_bytes(), locked);
    alloc_all(&many, 100);
    free_elsewhere(&many);
    assert_int_equal(securemem_arena_reserve(many.arena, 0), 0);
    char *large = securemem_arena_alloc(many.arena, (MANY - 10) * page);
    assert_non_null(large);
    memset(large, 1, (MANY - 10) * page);
    assert_true(view_locked_bytes() <= locked);
    securemem_free(large);
    alloc_all(&many, page);
    free_elsewhere(&many);
    assert_int_equal(securemem_arena_trim(many.arena), 0);
    assert_int_equal(view_locked_bytes(), locked - MANY * page);
    securemem_arena_destroy(many.arena);
}

static void *take_fifteen(void *argument)
{
    securemem_arena *arena = argument;
    void *secrets[15];
    for (size_t i = 0; i < COUNT(secrets); i++)
        NEED((secrets[i] = securemem_arena_alloc(arena, 32)) != NULL);
    for (size_t i = 0; i < COUNT(secrets); i++)
        securemem_free(secrets[i]);
    return NULL;
}

/* What a thread freed, or would keep for its next ones, is not taken out of it. */
static void what_is_reserved_is_there_for_every_thread(void **state)
{
    (void)state;
    size_t page = view_page_size();
    struct many many = many_of(SECUREMEM_GUARDS_PROT_NONE, SIZE_MAX, 16 * page);
    for (int before = 0; before < 2; before++) {
        if (before == 1) { /* this thread has a cache, and something in it */
            assert_int_equal(securemem_arena_trim(many.arena), 0);
            take_fifteen(many.arena);
        }
        assert_int_equal(securemem_arena_reserve(many.arena, 16 * page), 0);
        void *secret = securemem_arena_alloc(many.arena, 32);
        assert_non_null(secret);
        assert_int_equal(securemem_arena_remaining(many.arena), 15 * page);
        for (int round = 0; round < 3; round++) {
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, NULL, take_fifteen, many.arena), 0);
            assert_int_equal(pthread_join(thread, NULL), 0);
            take_fifteen(many.arena);
            assert_int_equal(securemem_arena_remaining(many.arena), 15 * page);
        }
        securemem_free(secret);
    }
    securemem_arena_destroy(many.arena);
}

static size_t misuses;
static const void *misused;

static void on_misuse(const securemem_misuse *misuse, void *user)
{
    (void)user;
    NEED(misuse->kind == SECUREMEM_MISUSE_CANARY);
    misuses++;
    misused = misuse->pointer;
}

/*
 * A write after the free, which nobody meets before the slot goes back. The first and the
 * last ones are in the cache of the thread, and are given back by it.
 */
static void what_is_overwritten_there_is_told(void **state)
{
    (void)state;
    securemem_set_misuse_handler(on_misuse, NULL);
    for (size_t i = 64; i < MANY - 64; i += 10) {
        struct many many = many_of(SECUREMEM_GUARDS_AUTO, SIZE_MAX, 0);
        alloc_all(&many, 100);
        free_elsewhere(&many);
        misuses = 0;
        many.secrets[i][-1] ^= 1;
        assert_int_equal(i / 10 % 2 == 0 ? securemem_arena_trim(many.arena)
                                         : securemem_arena_reserve(many.arena, 0),
                         0);
        assert_int_equal(misuses, 1);
        assert_true((uintptr_t)misused / view_page_size() ==
                    (uintptr_t)many.secrets[i] / view_page_size());
        securemem_arena_destroy(many.arena);
        assert_int_equal(misuses, 1);
    }
    securemem_set_misuse_handler(NULL, NULL);
}

static int use_in_child(void *argument)
{
    struct many *many = argument;
    NEED(budget_now().charged == view_locked_bytes());
    for (size_t round = 0; round < 3; round++) {
        alloc_all(many, 100);
        NEED(budget_now().charged == view_locked_bytes());
        free_elsewhere(many);
    }
    NEED(securemem_arena_trim(many->arena) == 0);
    NEED(budget_now().charged == view_locked_bytes());
    return 0;
}

static void a_child_has_what_was_there_but_once(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++)
        for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++) {
            struct many many = {
                .arena = arena_of((securemem_arena_options){.guard_kind = kinds[k],
                                                            .fork = (securemem_fork)fork,
                                                            .idle = SIZE_MAX})};
            alloc_all(&many, 100);
            free_elsewhere(&many);
            struct child_end end;
            child_run(use_in_child, &many, &end);
            fputs(end.errors, stderr);
            assert_int_equal(end.exit_code, 0);
            alloc_all(&many, 200);
            free_all(&many);
            securemem_arena_destroy(many.arena);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_thread_frees_another_is_given),
        cmocka_unit_test(no_more_stays_there_than_may_be_idle),
        cmocka_unit_test(what_is_taken_from_there_is_not_counted_there),
        cmocka_unit_test(it_stands_in_nobodys_way),
        cmocka_unit_test(what_is_reserved_is_there_for_every_thread),
        cmocka_unit_test(what_is_overwritten_there_is_told),
        cmocka_unit_test(a_child_has_what_was_there_but_once),
    };
    return RUN_GROUP(tests);
}
