/* SPDX-License-Identifier: ISC */
/* Sizes that no machine has, and an arena's own budget. */
#include <errno.h>
#include <securemem.h>
#include <string.h>
#include <unistd.h>

#include "support/skip.h"
#include "support/view.h"

static void is_refused(const void *secret)
{
    assert_null(secret);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(securemem_last_error()->code, ENOMEM);
    assert_true(securemem_last_error()->message[0] != '\0');
    errno = 0;
}

/* It has addresses, and with CAP_IPC_LOCK no limit: locking it would end the process. */
static size_t beyond_memory(void)
{
    return 2 * (size_t)sysconf(_SC_PHYS_PAGES) * view_page_size();
}

static void sizes_that_no_machine_has_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    const size_t sizes[] = {SIZE_MAX,           SIZE_MAX - 1,     SIZE_MAX - 4094,
                            SIZE_MAX - 4095,    SIZE_MAX - 4096,  SIZE_MAX - 3 * 4096,
                            SIZE_MAX / 2,       SIZE_MAX / 2 + 1, PTRDIFF_MAX,
                            PTRDIFF_MAX - 4096, (size_t)1 << 46,  (size_t)1 << 47,
                            (size_t)1 << 56,    beyond_memory()};
    unsigned char *first = securemem_alloc(1); /* with it the bookkeeping is there */
    assert_non_null(first);
    *first = 7;
    size_t mappings = view_mappings(), locked = view_locked_bytes();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        is_refused(securemem_alloc(sizes[i]));
        is_refused(securemem_alloc_aligned(sizes[i], 1));
        is_refused(securemem_alloc_aligned(sizes[i], 4096));
        is_refused(securemem_alloc_array(sizes[i], 1));
        is_refused(securemem_realloc(first, sizes[i]));
        assert_int_equal(*first, 7);
    }
    assert_int_equal(view_mappings(), mappings);
    assert_int_equal(view_locked_bytes(), locked);
    securemem_free(first);
}

static void products_that_overflow_are_refused(void **state)
{
    (void)state;
    const size_t half = (size_t)1 << 32;
    is_refused(securemem_alloc_array(half, half));
    is_refused(securemem_alloc_array(SIZE_MAX, 2));
    is_refused(securemem_alloc_array(2, SIZE_MAX));
    is_refused(securemem_alloc_array(SIZE_MAX, SIZE_MAX));
    is_refused(securemem_alloc_array(SIZE_MAX / 16 + 2, 16)); /* wraps to 16 */
}

/* The budget of an arena with guards of that kind, which charge none or one page. */
static void fill_a_budget(securemem_guard_kind kind, size_t idle)
{
    size_t page = view_page_size(), budget = 9 * page, n = 0;
    void *secrets[16];
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.budget = budget, .guard_kind = kind, .idle = idle});
    assert_non_null(arena);
    while (n < 16 && (secrets[n] = securemem_arena_alloc(arena, 32)) != NULL)
        n++;
    assert_int_equal(errno, ENOMEM);
    size_t each = kind == SECUREMEM_GUARDS_REGION ? 2 : 1;
    assert_int_equal(n, kind == SECUREMEM_GUARDS_REGION ? 4 : 9);
    const securemem_error *error = securemem_last_error();
    assert_string_equal(error->operation, "budget");
    assert_non_null(strstr(error->message, "securemem_arena_options.budget"));
    assert_int_equal(error->code, ENOMEM);
    assert_int_equal(error->kernel_code, 0);
    assert_int_equal(error->needed, each * page);
    assert_int_equal(error->limit, budget);
    assert_int_equal(error->in_use, budget);
    securemem_free(secrets[--n]);
    secrets[n] = securemem_arena_alloc(arena, 32);
    assert_non_null(secrets[n]);
    assert_null(securemem_arena_alloc(arena, 32));
    assert_null(securemem_arena_alloc(arena, 10 * page));
    assert_string_equal(securemem_last_error()->operation, "budget");
    assert_int_equal(securemem_last_error()->limit, budget);
    securemem_arena_destroy(arena);
}

static void a_budget_of_prot_none_guards_is_filled_and_named(void **state)
{
    (void)state;
    fill_a_budget(SECUREMEM_GUARDS_PROT_NONE, 0);
    fill_a_budget(SECUREMEM_GUARDS_PROT_NONE, SIZE_MAX);
}

static void a_budget_of_guard_regions_counts_their_pages(void **state)
{
    (void)state;
    void *probe = NULL;
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_REGION});
    assert_non_null(arena);
    probe = securemem_arena_alloc(arena, 1);
    securemem_arena_destroy(arena);
    if (probe == NULL)
        SKIP("this kernel has no guard regions (Linux 6.13)");
    fill_a_budget(SECUREMEM_GUARDS_REGION, 0);
    fill_a_budget(SECUREMEM_GUARDS_REGION, SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_no_machine_has_are_refused_and_leave_nothing),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(a_budget_of_prot_none_guards_is_filled_and_named),
        cmocka_unit_test(a_budget_of_guard_regions_counts_their_pages),
    };
    return RUN_GROUP(tests);
}
