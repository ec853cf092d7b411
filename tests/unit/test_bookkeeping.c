/* SPDX-License-Identifier: ISC */
/* What one arena kept of its packed secrets is handed to the next one as zeros. */
#include "region/registry.h"
#include "secret/page.h"
#include "unit/unit.h"

#define SECRETS 300

/* Pages of three classes; some secrets are freed, and what is idle is given back. */
static void use(securemem_arena *arena, char **first)
{
    static void *secrets[SECRETS];
    const size_t sizes[] = {32, 100, 700};
    for (size_t i = 0; i < SECRETS; i++) {
        secrets[i] = securemem_arena_alloc(arena, sizes[i % 30 == 0 ? 2 : i % 2]);
        assert_non_null(secrets[i]);
    }
    *first = secrets[0];
    for (size_t i = 1; i < SECRETS; i += 3)
        securemem_free(secrets[i]);
    assert_int_equal(securemem_arena_trim(arena), 0);
}

/* Where the mapping begins that a region has its bookkeeping in, and how long it is. */
static char *bookkeeping_of(const struct smem_region *region, size_t *length)
{
    *length =
        region->capacity * (sizeof *region->slots + smem_packed_extra(region->page));
    return (char *)region->slots;
}

static void the_next_arena_has_the_bookkeeping_of_the_last_as_zeros(void **state)
{
    (void)state;
    const securemem_policy locks[] = {SECUREMEM_REQUIRED, SECUREMEM_OFF};
    for (size_t i = 0; i < COUNT(locks); i++) {
        securemem_arena *arena = securemem_arena_create(&(securemem_arena_options){
            .placement = SECUREMEM_PACKED, .lock = locks[i], .idle = SIZE_MAX});
        assert_non_null(arena);
        char *secret;
        use(arena, &secret);
        const struct smem_region *region = smem_registry_find(secret);
        size_t length;
        char *start = bookkeeping_of(region, &length);
        assert_ptr_equal(start + region->capacity * sizeof *region->slots, region->extra);
        assert_false(all_bytes_are(start, sizeof *region->slots, 0)); /* the control */
        assert_false(all_bytes_are(region->extra, smem_page_bytes(region->page), 0));
        securemem_arena_destroy(arena);

        assert_true(view_readable(start)); /* the kernel may map the same place again */
        void *taken;
        assert_int_equal(smem_metadata_take(length, &taken), 0);
        assert_ptr_equal(taken, start);
        assert_true(all_bytes_are(taken, length, 0));
        smem_metadata_give(taken, length);
    }
}

static void what_was_written_to_on_many_pages_is_not_kept(void **state)
{
    (void)state;
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.placement = SECUREMEM_PACKED});
    assert_non_null(arena);
    char *secret = securemem_arena_alloc(arena, 32);
    for (size_t i = 0; i < 40; i++)
        assert_non_null(securemem_arena_alloc(arena, 1500));
    size_t length;
    void *start = bookkeeping_of(smem_registry_find(secret), &length);
    assert_true(view_readable(start));
    securemem_arena_destroy(arena);
    assert_false(view_readable(start));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_to_on_many_pages_is_not_kept),
        cmocka_unit_test(the_next_arena_has_the_bookkeeping_of_the_last_as_zeros),
    };
    return RUN_GROUP(tests);
}
