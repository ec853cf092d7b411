/* SPDX-License-Identifier: ISC */
/*
 * What a thread's cache frees and makes again: the steady state, which a first free of a
 * secret never comes to.
 */
#include <errno.h>

#include "unit/unit.h"

#define WARM 4
#define FILL 0xa5

static const void *told;
static securemem_misuse_kind kind;

static void note_misuse(const securemem_misuse *misuse, void *user)
{
    (void)user;
    told = misuse->pointer;
    kind = misuse->kind;
}

static void free_in(securemem_arena *arena, void *secret)
{
    if (arena == NULL)
        securemem_free(secret);
    else
        securemem_arena_free(arena, secret);
}

static bool is_misuse(securemem_arena *arena, void *pointer, securemem_misuse_kind which,
                      const void *where)
{
    told = NULL;
    free_in(arena, pointer);
    return told == where && kind == which;
}

static securemem_arena *warm(securemem_arena_options options, size_t size)
{
    options.idle = SIZE_MAX;
    securemem_arena *arena = arena_of(options);
    for (int i = 0; i < WARM; i++)
        securemem_free(securemem_arena_alloc(arena, size));
    return arena;
}

static const securemem_arena_options placements[] = {
    {.guard_kind = SECUREMEM_GUARDS_PROT_NONE},
    {.guards = SECUREMEM_OFF},
    {.placement = SECUREMEM_PACKED},
    {.placement = SECUREMEM_PACKED, .canaries = SECUREMEM_OFF},
};

static char *filled(securemem_arena *arena, size_t size)
{
    char *secret = securemem_arena_alloc(arena, size);
    assert_non_null(secret);
    assert_true(all_bytes_are(secret, size, 0));
    memset(secret, FILL, size);
    return secret;
}

static void every_byte_of_a_secret_of_any_size_is_wiped(void **state)
{
    (void)state;
    const size_t step = paced(8) == 8 ? 1 : 37;
    for (size_t p = 0; p < COUNT(placements); p++) {
        securemem_arena *arena = warm(placements[p], 32);
        for (size_t size = 1; size <= 4096; size += size < 600 ? step : 97) {
            for (int i = 0; i < WARM; i++)
                securemem_free(securemem_arena_alloc(arena, size));
            char *secret = filled(arena, size);
            securemem_free(secret);
            assert_true(all_bytes_are(secret, size, 0));
        }
        securemem_arena_destroy(arena);
    }
}

struct beside {
    size_t size, alignment;
};

/* Where nothing before is of the page, or nothing behind, there is no canary to break. */
static void expect_found_beside(struct beside is)
{
    size_t page = view_page_size(), gone = (page - is.size) % is.alignment;
    size_t before = page - is.size - gone, step = paced(2) == 2 ? 1 : 7;
    before = before < 64 ? before : 64;
    for (size_t k = 0; k < before + gone; k += step) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE, .idle = SIZE_MAX});
        for (int i = 0; i < WARM; i++)
            securemem_free(securemem_arena_alloc_aligned(arena, is.size, is.alignment));
        char *secret = securemem_arena_alloc_aligned(arena, is.size, is.alignment);
        assert_non_null(secret);
        memset(secret, FILL, is.size);
        assert_ptr_equal(secret + is.size + gone, first_page(secret, is.size) + page);
        *(k < before ? secret - 1 - k : secret + is.size + (k - before)) ^= 2;
        assert_true(is_misuse(NULL, secret, SECUREMEM_MISUSE_CANARY, secret));
        securemem_arena_destroy(arena);
    }
}

/* Each byte behind it, to the end of its page, and the next 64 before it. */
static void a_write_beside_a_guarded_secret_is_found_by_its_free(void **state)
{
    (void)state;
    const size_t sizes[] = {1,   2,   3,   5,   15,  16,  17,  24,  31,  32,  40,  100,
                            127, 200, 249, 256, 257, 272, 300, 511, 512, 999, 1000};
    const size_t left[] = {0, 1, 7, 15, 16, 17, 40, 63, 64, 65}; /* of a page */
    const size_t alignments[] = {1, 8, 32, 64, 512};
    securemem_set_misuse_handler(note_misuse, NULL);
    for (size_t i = 0; i < COUNT(sizes); i++)
        expect_found_beside((struct beside){sizes[i], 16});
    for (size_t i = 0; i < COUNT(left); i++)
        expect_found_beside((struct beside){view_page_size() - left[i], 16});
    for (size_t a = 0; a < COUNT(alignments); a++)
        for (size_t i = 0; i < COUNT(sizes); i += 5)
            expect_found_beside((struct beside){sizes[i], alignments[a]});
    securemem_set_misuse_handler(NULL, NULL);
}

static void what_is_no_secrets_start_is_told_and_nothing_is_wiped(void **state)
{
    (void)state;
    const size_t sizes[] = {32, 64, 256, 512};
    const ptrdiff_t off[] = {-16, 1, 8, 16};
    securemem_set_misuse_handler(note_misuse, NULL);
    for (size_t p = 0; p < COUNT(placements); p++)
        for (size_t s = 0; s < COUNT(sizes); s++) {
            securemem_arena *arena = warm(placements[p], sizes[s]);
            char *secret = filled(arena, sizes[s]);
            for (size_t i = 0; i < COUNT(off); i++) {
                char *pointer = secret + off[i];
                bool packed = placements[p].placement == SECUREMEM_PACKED;
                if (packed && off[i] < 0)
                    continue; /* which is another one's place */
                assert_true(is_misuse(NULL, pointer, SECUREMEM_MISUSE_INTERIOR, pointer));
                assert_true(all_bytes_are(secret, sizes[s], FILL));
            }
            told = NULL;
            securemem_free(secret);
            assert_null(told);
            securemem_arena_destroy(arena);
        }
    securemem_set_misuse_handler(NULL, NULL);
}

static void the_wrong_arena_is_told_and_nothing_is_wiped(void **state)
{
    (void)state;
    securemem_set_misuse_handler(note_misuse, NULL);
    for (size_t p = 0; p < COUNT(placements); p++) {
        securemem_arena *arena = warm(placements[p], 32),
                        *other = warm(placements[p], 32);
        securemem_free(filled(arena, 32)); /* the last one that the thread knows */
        char *secret = filled(arena, 32);
        assert_true(is_misuse(other, secret, SECUREMEM_MISUSE_WRONG_ARENA, secret));
        assert_true(all_bytes_are(secret, 32, FILL));
        told = NULL;
        securemem_arena_free(arena, secret);
        assert_null(told);
        securemem_arena_destroy(arena);
        securemem_arena_destroy(other);
    }
    securemem_set_misuse_handler(NULL, NULL);
}

/* One place after the other: another alignment is another place. */
static void another_alignment_is_zeros_at_its_own_place(void **state)
{
    (void)state;
    const size_t alignments[] = {16, 64, 1, 256, 16, 4096, 8, 16, 32};
    securemem_set_misuse_handler(note_misuse, NULL);
    told = NULL;
    for (size_t p = 0; p < COUNT(placements); p++) {
        securemem_arena *arena = warm(placements[p], 40);
        for (size_t i = 0; i < 8 * COUNT(alignments); i++) {
            size_t alignment = alignments[i % COUNT(alignments)];
            char *secret = securemem_arena_alloc_aligned(arena, 40, alignment);
            assert_non_null(secret);
            assert_int_equal((uintptr_t)secret % alignment, 0);
            assert_int_equal(securemem_size(secret), 40);
            assert_true(all_bytes_are(secret, 40, 0));
            memset(secret, FILL, 40);
            securemem_free(secret);
            assert_null(told);
        }
        securemem_arena_destroy(arena);
    }
    securemem_set_misuse_handler(NULL, NULL);
}

/* Without guards secrets of a page lie side by side: a free is of one of them. */
static void a_free_is_of_that_one_and_not_of_its_neighbour(void **state)
{
    (void)state;
    char *secrets[8];
    size_t page = view_page_size();
    for (size_t p = 0; p < 2; p++) {
        securemem_arena *arena = warm(placements[p], page);
        for (size_t i = 0; i < COUNT(secrets); i++)
            secrets[i] = filled(arena, page);
        for (size_t i = COUNT(secrets); i-- > 0;) {
            securemem_free(secrets[i]);
            for (size_t k = 0; k < i; k++) {
                assert_int_equal(securemem_size(secrets[k]), page);
                assert_true(all_bytes_are(secrets[k], page, FILL));
            }
        }
        securemem_arena_destroy(arena);
    }
}

static securemem_arena *keeping;

static int free_inherited_ones(void *argument)
{
    char **kept = argument;
    for (int i = 0; i < WARM; i++)
        securemem_free(kept[i]);
    for (int i = 0; i < 4 * WARM; i++) {
        securemem_protection report;
        size_t size = i % 2 == 0 ? 32 : 3000; /* a larger one than was there */
        char *own = securemem_arena_alloc(keeping, size);
        NEED(own != NULL && all_bytes_are(own, size, 0));
        NEED(securemem_protection(own, &report) == 0);
        NEED(report.inheritance == SECUREMEM_NATIVE && report.lock.holds);
    }
    return 0;
}

static void what_a_child_makes_of_inherited_slots_is_its_own(void **state)
{
    (void)state;
    char *kept[WARM];
    keeping = warm((securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                             .fork = SECUREMEM_FORK_KEEP},
                   32);
    char *freed[2 * WARM];
    for (size_t i = 0; i < COUNT(freed); i++)
        freed[i] = filled(keeping, 32);
    for (size_t i = 0; i < WARM; i++)
        kept[i] = filled(keeping, 32);
    for (size_t i = 0; i < COUNT(freed); i++)
        securemem_free(freed[i]); /* idle, and full of canary */
    CHILD_PASSES(free_inherited_ones, kept);
    securemem_arena_destroy(keeping);
    keeping = securemem_default_arena(); /* which wipes, and keeps nothing idle */
    for (size_t i = 0; i < WARM; i++)
        kept[i] = securemem_alloc(32);
    CHILD_PASSES(free_inherited_ones, kept);
    for (size_t i = 0; i < WARM; i++)
        securemem_free(kept[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_secret_of_any_size_is_wiped),
        cmocka_unit_test(a_write_beside_a_guarded_secret_is_found_by_its_free),
        cmocka_unit_test(what_is_no_secrets_start_is_told_and_nothing_is_wiped),
        cmocka_unit_test(the_wrong_arena_is_told_and_nothing_is_wiped),
        cmocka_unit_test(another_alignment_is_zeros_at_its_own_place),
        cmocka_unit_test(a_free_is_of_that_one_and_not_of_its_neighbour),
        cmocka_unit_test(what_a_child_makes_of_inherited_slots_is_its_own),
    };
    return RUN_GROUP(tests);
}
