/* SPDX-License-Identifier: ISC */
/* Secrets: sizes, alignment, contents, realloc, dup. */
#include <errno.h>
#include <securemem.h>
#include <string.h>

#include "support/child.h"
#include "support/skip.h"
#include "support/view.h"

static bool all_bytes_are(const unsigned char *bytes, size_t length, unsigned char value)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void a_new_secret_is_zero_and_ends_at_its_guard(void **state)
{
    (void)state;
    size_t page = view_page_size();
    const size_t sizes[] = {1,   15,       16,   17,       32,
                            255, page - 1, page, page + 1, 5 * page + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *secret = securemem_alloc(sizes[i]);
        assert_non_null(secret);
        assert_int_equal((uintptr_t)secret % SECUREMEM_ALIGNMENT, 0);
        assert_int_equal(securemem_size(secret), sizes[i]);
        assert_true(all_bytes_are(secret, sizes[i], 0));
        uintptr_t end = (uintptr_t)secret + sizes[i];
        uintptr_t guard = (end + page - 1) / page * page;
        assert_true(guard - end < SECUREMEM_ALIGNMENT);
        assert_false(view_readable((void *)guard));
        uintptr_t first = (uintptr_t)secret / page * page;
        assert_false(view_readable((void *)(first - 1)));
        memset(secret, 0xa5, sizes[i]);
        securemem_free(secret);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_secret_is_zero_and_ends_at_its_guard),
        cmocka_unit_test(realloc_keeps_the_contents_and_fills_with_zeros),
    };
    return RUN_GROUP(tests);
}
