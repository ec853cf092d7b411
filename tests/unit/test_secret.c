/* SPDX-License-Identifier: ISC */
/* Secrets: sizes, alignment, where they lie, what is around them, what is refused. */
#include <errno.h>

#include "unit/unit.h"

static void a_new_secret_is_zero_and_ends_at_its_guard(void **state)
{
    (void)state;
    size_t page = view_page_size();
    const size_t sizes[] = {1,        15,           16,        17,        32,
                            255,      page - 1,     page,      page + 1,  2 * page,
                            3 * page, 5 * page + 3, 31 * page, 32 * page, 33 * page + 1};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        unsigned char *secret = securemem_alloc(sizes[i]);
        assert_non_null(secret);
        assert_int_equal((uintptr_t)secret % SECUREMEM_ALIGNMENT, 0);
        assert_int_equal(securemem_size(secret), sizes[i]);
        assert_true(all_bytes_are(secret, sizes[i], 0));
        char *guard = guard_behind(secret, sizes[i]);
        assert_true(guard - (char *)secret - (ptrdiff_t)sizes[i] < SECUREMEM_ALIGNMENT);
        assert_false(view_readable(guard));
        assert_false(view_readable(first_page(secret, sizes[i]) - 1));
        memset(secret, 0xa5, sizes[i]);
        securemem_free(secret);
    }
}

static void every_alignment_up_to_a_page_is_kept_and_padded_with_canary(void **state)
{
    (void)state;
    size_t page = view_page_size();
    const size_t sizes[] = {1, 7, 16, 100, page - 1, page, page + 1, 3 * page - 5};
    for (size_t alignment = 1; alignment <= page; alignment *= 2)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            size_t size = sizes[i];
            char *secret = securemem_alloc_aligned(size, alignment);
            assert_non_null(secret);
            assert_int_equal((uintptr_t)secret % alignment, 0);
            assert_true(all_bytes_are(secret, size, 0));
            char *guard = guard_behind(secret, size);
            assert_true((size_t)(guard - (secret + size)) < alignment);
            assert_false(view_readable(guard));
            assert_true(no_byte_is_zero(first_page(secret, size), secret));
            assert_true(no_byte_is_zero(secret + size, guard));

            securemem_protection report;
            assert_int_equal(securemem_protection(secret, &report), 0);
            assert_int_equal(report.alignment, alignment);
            assert_int_equal(report.size, size);
            assert_int_equal(report.pages_size, guard - first_page(secret, size));
            securemem_free(secret);
        }
}

#define CANARIES 2000

/* The stray terminator of a string is seen whatever the pattern is. */
static void no_canary_of_many_has_a_zero(void **state)
{
    (void)state;
    static char *secrets[CANARIES];
    securemem_arena *arena = arena_of((securemem_arena_options){.lock = SECUREMEM_OFF});
    for (size_t i = 0; i < CANARIES; i++) {
        secrets[i] = securemem_arena_alloc(arena, 9);
        assert_non_null(secrets[i]);
        assert_true(no_byte_is_zero(first_page(secrets[i], 9), secrets[i]));
        assert_true(no_byte_is_zero(secrets[i] + 9, guard_behind(secrets[i], 9)));
    }
    securemem_arena_destroy(arena);
}

static void what_is_no_alignment_is_refused(void **state)
{
    (void)state;
    size_t page = view_page_size();
    const size_t bad[] = {0, 3, 6, 24, page - 1, page + 1, 2 * page, SIZE_MAX};
    for (size_t i = 0; i < COUNT(bad); i++) {
        errno = 0;
        assert_null(securemem_alloc_aligned(8, bad[i]));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(securemem_last_error()->code, EINVAL);
        assert_int_equal(securemem_last_error()->kernel_code, 0);
        assert_non_null(strstr(securemem_last_error()->message, "alignment"));
    }
}

#define EMPTY_ONES 300

static void a_secret_of_size_0_is_its_own_and_may_not_be_read(void **state)
{
    (void)state;
    static char *secrets[EMPTY_ONES];
    size_t before = budget_now().secrets;
    for (size_t i = 0; i < EMPTY_ONES; i++) {
        secrets[i] = securemem_alloc(0);
        assert_non_null(secrets[i]);
        assert_false(view_readable(secrets[i]));
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(secrets[i], secrets[j]);
    }
    assert_int_equal(budget_now().secrets, before + EMPTY_ONES);
    for (size_t i = 0; i < EMPTY_ONES; i++) {
        errno = 0;
        assert_int_equal(securemem_size(secrets[i]), 0);
        assert_int_equal(errno, 0);
        securemem_free(secrets[i]);
    }
    assert_int_equal(budget_now().secrets, before);
}

static void a_secret_of_size_0_without_guards_is_its_own_too(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){.guards = SECUREMEM_OFF});
    char *first = securemem_arena_alloc(arena, 0);
    char *second = securemem_arena_alloc(arena, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    securemem_free(first);
    assert_int_equal(securemem_size(second), 0);
    securemem_free(second);
    securemem_arena_destroy(arena);
}

static void an_array_is_the_product_of_its_sides(void **state)
{
    (void)state;
    void *array = securemem_alloc_array(3, 5);
    assert_non_null(array);
    assert_int_equal(securemem_size(array), 15);
    void *none = securemem_alloc_array(0, SIZE_MAX);
    assert_non_null(none);
    assert_int_equal(securemem_size(none), 0);
    securemem_free(none);
    securemem_free(array);
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
    (void)state;
    const size_t sides[][2] = {{SIZE_MAX, 2},
                               {2, SIZE_MAX},
                               {SIZE_MAX / 2, 3},
                               {(size_t)1 << 33, (size_t)1 << 33}};
    for (size_t i = 0; i < COUNT(sides); i++) {
        errno = 0;
        assert_null(securemem_alloc_array(sides[i][0], sides[i][1]));
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(securemem_last_error()->code, ENOMEM);
    }
}

/* Sizes that no address space has: a smaller one would be tried, and fill the machine. */
static void absurd_sizes_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    size_t page = view_page_size();
    const size_t sizes[] = {SIZE_MAX,        SIZE_MAX - 1,
                            SIZE_MAX - page, SIZE_MAX - 2 * page,
                            SIZE_MAX / 2,    (size_t)1 << 60};
    void *kept = securemem_alloc(1);
    assert_non_null(kept);
    assert_null(securemem_alloc(SIZE_MAX)); /* warm: what is made once is there */
    size_t mappings = view_mappings(), locked = view_locked_bytes();
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t alignment = 1; alignment <= page; alignment *= page) {
            errno = 0;
            assert_null(securemem_alloc_aligned(sizes[i], alignment));
            assert_int_equal(errno, ENOMEM);
            assert_int_equal(securemem_last_error()->code, ENOMEM);
            errno = 0;
            assert_null(securemem_realloc(kept, sizes[i]));
            assert_int_equal(errno, ENOMEM);
        }
    assert_int_equal(securemem_size(kept), 1);
    assert_int_equal(view_mappings(), mappings);
    assert_int_equal(view_locked_bytes(), locked);
    securemem_free(kept);
}

static int errno_of_main;

static void what_succeeds_keeps_errno(void **state)
{
    (void)state;
    assert_int_equal(errno_of_main, 0); /* loading the library probes the kernel */
    securemem_protection report;
    errno = 77;
    char *secret = securemem_alloc(100);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
    assert_int_equal(securemem_protection(secret, &report), 0);
    char *copy = securemem_dup(secret);
    secret = securemem_realloc(secret, 5000);
    assert_int_equal(securemem_size(secret), 5000);
    (void)budget_now();
    securemem_free(copy);
    securemem_free(secret);
    securemem_arena *arena = arena_of((securemem_arena_options){.idle = SIZE_MAX});
    securemem_arena_free(arena, securemem_arena_alloc(arena, 1));
    assert_int_equal(securemem_arena_trim(arena), 0);
    securemem_arena_destroy(arena);
    assert_int_equal(errno, 77);
}

static void what_is_not_a_secret_has_no_size(void **state)
{
    (void)state;
    int local = 0;
    char *secret = securemem_alloc(32);
    assert_non_null(secret);
    const void *not_secrets[] = {NULL, &local, secret + 1, secret - 1, secret + 32};
    for (size_t i = 0; i < COUNT(not_secrets); i++) {
        errno = 0;
        assert_int_equal(securemem_size(not_secrets[i]), 0);
        assert_int_equal(errno, EINVAL);
    }
    securemem_free(secret);
    errno = 0;
    assert_int_equal(securemem_size(secret), 0);
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    errno_of_main = errno;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_secret_is_zero_and_ends_at_its_guard),
        cmocka_unit_test(every_alignment_up_to_a_page_is_kept_and_padded_with_canary),
        cmocka_unit_test(no_canary_of_many_has_a_zero),
        cmocka_unit_test(what_is_no_alignment_is_refused),
        cmocka_unit_test(a_secret_of_size_0_is_its_own_and_may_not_be_read),
        cmocka_unit_test(a_secret_of_size_0_without_guards_is_its_own_too),
        cmocka_unit_test(an_array_is_the_product_of_its_sides),
        cmocka_unit_test(an_array_whose_size_overflows_is_refused),
        cmocka_unit_test(what_succeeds_keeps_errno),
        cmocka_unit_test(what_is_not_a_secret_has_no_size),
        cmocka_unit_test(absurd_sizes_are_refused_and_leave_nothing),
    };
    return RUN_GROUP(tests);
}
