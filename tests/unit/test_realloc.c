/* SPDX-License-Identifier: ISC */
/* Secrets that move or are copied: securemem_realloc, securemem_dup. */
#include <errno.h>

#include "unit/unit.h"

static securemem_protection report_of(const void *secret)
{
    securemem_protection report;
    assert_int_equal(securemem_protection(secret, &report), 0);
    return report;
}

static void realloc_keeps_the_contents_and_fills_with_zeros(void **state)
{
    (void)state;
    unsigned char *secret = securemem_alloc(100);
    assert_non_null(secret);
    memset(secret, 7, 100);
    secret = securemem_realloc(secret, 9000);
    assert_non_null(secret);
    assert_true(all_bytes_are(secret, 100, 7));
    assert_true(all_bytes_are(secret + 100, 8900, 0));
    secret = securemem_realloc(secret, 10);
    assert_non_null(secret);
    assert_int_equal(securemem_size(secret), 10);
    assert_true(all_bytes_are(secret, 10, 7));
    securemem_free(secret);
}

static void realloc_of_null_is_an_allocation(void **state)
{
    (void)state;
    unsigned char *secret = securemem_realloc(NULL, 40);
    assert_non_null(secret);
    assert_int_equal(securemem_size(secret), 40);
    assert_true(all_bytes_are(secret, 40, 0));
    securemem_free(secret);
}

static void realloc_to_0_is_not_a_free(void **state)
{
    (void)state;
    size_t before = budget_now().secrets;
    void *secret = securemem_alloc(40);
    assert_non_null(secret);
    secret = securemem_realloc(secret, 0);
    assert_non_null(secret);
    assert_int_equal(budget_now().secrets, before + 1);
    secret = securemem_realloc(secret, 40);
    assert_non_null(secret);
    assert_true(all_bytes_are(secret, 40, 0));
    securemem_free(secret);
    assert_int_equal(budget_now().secrets, before);
}

static void realloc_to_the_same_size_moves_and_the_old_pointer_ends(void **state)
{
    (void)state;
    unsigned char *old = securemem_alloc(64);
    assert_non_null(old);
    memset(old, 9, 64);
    unsigned char *new = securemem_realloc(old, 64);
    assert_non_null(new);
    assert_ptr_not_equal(new, old);
    assert_true(all_bytes_are(new, 64, 9));
    assert_int_equal(securemem_size(old), 0);
    securemem_free(new);
}

/* Idle memory stays readable, so that what realloc and free leave there can be seen. */
static void realloc_and_free_wipe_what_they_leave(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds), page = view_page_size();
    for (size_t i = 0; i < count; i++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .guard_kind = kinds[i], .idle = SIZE_MAX, .no_dump = SECUREMEM_OFF});
        unsigned char *old = securemem_arena_alloc(arena, 100);
        assert_non_null(old);
        memset(old, 0xc3, 100);
        unsigned char *new = securemem_realloc(old, 200);
        assert_non_null(new);
        assert_true(all_bytes_are(first_page(old, 100), page, 0));
        /* A thread's cache keeps the canaries where they are, and nothing else. */
        char *first = first_page(new, 200);
        size_t before = (size_t)((char *)new - first);
        char canary[1 << 16];
        assert_true(before < sizeof canary);
        memcpy(canary, first, before);
        securemem_free(new);
        assert_true(all_bytes_are(new, 200, 0));
        assert_true(memcmp(first, canary, before) == 0 || all_bytes_are(first, page, 0));
        securemem_arena_destroy(arena);
    }
}

static void realloc_carries_alignment_access_and_open_scopes(void **state)
{
    (void)state;
    unsigned char *secret = securemem_alloc_aligned(10, 512);
    assert_non_null(secret);
    memset(secret, 1, 10);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
    secret = securemem_realloc(secret, 5000);
    assert_non_null(secret);
    assert_int_equal((uintptr_t)secret % 512, 0);
    assert_true(permissions_are(secret, "---p"));

    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    secret = securemem_realloc(secret, 20);
    assert_non_null(secret);
    assert_true(permissions_are(secret, "r--p"));
    assert_true(all_bytes_are(secret, 10, 1));
    securemem_protection report = report_of(secret);
    assert_int_equal(report.open_scopes, 2);
    assert_int_equal(report.access, SECUREMEM_READ);
    assert_int_equal(report.resting_access, SECUREMEM_NONE);
    assert_int_equal(securemem_close(secret), 0);
    assert_true(permissions_are(secret, "r--p"));
    assert_int_equal(securemem_close(secret), 0);
    assert_true(permissions_are(secret, "---p"));
    assert_int_equal(securemem_close(secret), -EINVAL);
    securemem_free(secret);
}

static void a_refused_realloc_leaves_the_old_secret_as_it_was(void **state)
{
    (void)state;
    size_t page = view_page_size();
    static const char *const permissions[] = {"---p", "r--p", "rw-p"};
    for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .budget = 3 * page, .guard_kind = SECUREMEM_GUARDS_PROT_NONE});
        unsigned char *secret = securemem_arena_alloc_aligned(arena, 33, 64);
        assert_non_null(secret);
        memset(secret, 0x6d, 33);
        assert_int_equal(securemem_set_access(secret, (securemem_access)access), 0);
        size_t locked = view_locked_bytes(), secrets = budget_now().secrets;

        errno = 0;
        assert_null(securemem_realloc(secret, 2 * page + 1));
        assert_int_equal(errno, ENOMEM);
        const securemem_error *error = securemem_last_error();
        assert_int_equal(error->code, ENOMEM);
        assert_int_equal(error->kernel_code, 0);
        assert_int_equal(error->limit, 3 * page);
        assert_int_equal(error->in_use, page);
        assert_int_equal(error->needed, 3 * page);
        assert_non_null(strstr(error->message, "budget"));

        assert_true(permissions_are(secret, permissions[access]));
        assert_int_equal(view_locked_bytes(), locked);
        assert_int_equal(budget_now().secrets, secrets);
        assert_int_equal(securemem_size(secret), 33);
        assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
        assert_true(all_bytes_are(secret, 33, 0x6d));
        assert_int_equal(securemem_close(secret), 0);
        securemem_free(secret);
        securemem_arena_destroy(arena);
    }
}

static void a_copy_has_contents_size_and_alignment_and_is_writable(void **state)
{
    (void)state;
    static const char *const permissions[] = {"---p", "r--p", "rw-p"};
    for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++) {
        unsigned char *secret = securemem_alloc_aligned(77, 128);
        assert_non_null(secret);
        memset(secret, 0x42, 77);
        assert_int_equal(securemem_set_access(secret, (securemem_access)access), 0);
        unsigned char *copy = securemem_dup(secret);
        assert_non_null(copy);
        assert_ptr_not_equal(copy, secret);
        assert_true(permissions_are(secret, permissions[access]));
        assert_true(permissions_are(copy, "rw-p"));
        assert_true(all_bytes_are(copy, 77, 0x42));
        securemem_protection report = report_of(copy);
        assert_int_equal(report.size, 77);
        assert_int_equal(report.alignment, 128);
        assert_int_equal(report.resting_access, SECUREMEM_WRITE);
        assert_int_equal(report.open_scopes, 0);
        assert_int_equal(report_of(secret).resting_access, access);
        memset(copy, 1, 77);
        securemem_free(copy);
        assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
        assert_true(all_bytes_are(secret, 77, 0x42));
        assert_int_equal(securemem_close(secret), 0);
        securemem_free(secret);
    }
}

static void a_copy_stays_in_its_arena_and_leaves_open_scopes_alone(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){
        .budget = view_page_size(), .guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    void *secret = securemem_arena_alloc(arena, 16);
    assert_non_null(secret);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
    assert_int_equal(securemem_open(secret, SECUREMEM_WRITE), 0);
    errno = 0;
    assert_null(securemem_dup(secret));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(report_of(secret).open_scopes, 1);
    assert_true(permissions_are(secret, "rw-p"));
    assert_int_equal(securemem_close(secret), 0);
    assert_null(securemem_dup(secret));
    assert_true(permissions_are(secret, "---p"));
    securemem_arena_destroy(arena);
}

static void what_is_not_a_secret_is_neither_moved_nor_copied(void **state)
{
    (void)state;
    int local = 0;
    char *secret = securemem_alloc(32);
    assert_non_null(secret);
    void *not_secrets[] = {&local, secret + 1, secret + 32};
    for (size_t i = 0; i < COUNT(not_secrets); i++) {
        errno = 0;
        assert_null(securemem_realloc(not_secrets[i], 8));
        assert_int_equal(errno, EINVAL);
        errno = 0;
        assert_null(securemem_dup(not_secrets[i]));
        assert_int_equal(errno, EINVAL);
    }
    errno = 0;
    assert_null(securemem_dup(NULL));
    assert_int_equal(errno, EINVAL);
    securemem_free(secret);
    errno = 0;
    assert_null(securemem_realloc(secret, 8));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realloc_keeps_the_contents_and_fills_with_zeros),
        cmocka_unit_test(realloc_of_null_is_an_allocation),
        cmocka_unit_test(realloc_to_0_is_not_a_free),
        cmocka_unit_test(realloc_to_the_same_size_moves_and_the_old_pointer_ends),
        cmocka_unit_test(realloc_and_free_wipe_what_they_leave),
        cmocka_unit_test(realloc_carries_alignment_access_and_open_scopes),
        cmocka_unit_test(a_refused_realloc_leaves_the_old_secret_as_it_was),
        cmocka_unit_test(a_copy_has_contents_size_and_alignment_and_is_writable),
        cmocka_unit_test(a_copy_stays_in_its_arena_and_leaves_open_scopes_alone),
        cmocka_unit_test(what_is_not_a_secret_is_neither_moved_nor_copied),
    };
    return RUN_GROUP(tests);
}
