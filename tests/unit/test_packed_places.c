/* SPDX-License-Identifier: ISC */
/*
 * Packed secrets that other threads free, that end with their arena, or that no secret ever
 * was: each place is handed out again, once, and by its own arena.
 */
#include <pthread.h>
#include <stdlib.h>

#include "unit/unit.h"

#define PACKED .placement = SECUREMEM_PACKED
#define MANY   4000
#define ARENAS 17 /* more than a thread has caches */

static int told; /* of misuse, the last kind; 0: none */

static void tell(const securemem_misuse *misuse, void *user)
{
    (void)user;
    told = (int)misuse->kind;
}

static int free_tells(void *secret)
{
    told = 0;
    securemem_free(secret);
    return told;
}

static char *page_of(const char *secret)
{
    return (char *)((uintptr_t)secret / view_page_size() * view_page_size());
}

static void in_thread(void *(*start)(void *argument), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, start, argument), 0);
    pthread_join(thread, NULL);
}

/* What it caches goes back when it ends. secrets ends with NULL. */
static void *free_each(void *secrets)
{
    for (char **secret = secrets; *secret != NULL; secret++)
        securemem_free(*secret);
    return NULL;
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return x < y ? -1 : x > y;
}

static void pages_that_were_full_hand_out_what_is_freed(void **state)
{
    (void)state;
    static char *secrets[MANY], *half[MANY];
    securemem_arena *arena =
        arena_of((securemem_arena_options){PACKED, .budget = 4 * view_page_size()});
    size_t count = 0, freed = 0, again = 0;
    while ((secrets[count] = securemem_arena_alloc(arena, 100)) != NULL)
        assert_true(++count < MANY);
    for (size_t i = 0; i < count; i += 2)
        half[freed++] = secrets[i];
    half[freed] = NULL;
    in_thread(free_each, half);
    while (securemem_arena_alloc(arena, 100) != NULL)
        again++;
    assert_int_equal(again, freed);
    securemem_arena_destroy(arena);
}

/* Two to a page: the first of each goes, of pages that lie side by side. */
static void freed_at_once_each_goes_back_to_its_page(void **state)
{
    (void)state;
    enum { PAGES = 4, NEW = 16 };
    securemem_arena *arena =
        arena_of((securemem_arena_options){PACKED, .idle = SIZE_MAX});
    char *secrets[2 * PAGES], *kept[PAGES], *gone[PAGES + 1] = {NULL}, *new[NEW];
    for (size_t i = 0; i < COUNT(secrets); i++)
        assert_non_null(secrets[i] = securemem_arena_alloc(arena, 2000));
    qsort(secrets, COUNT(secrets), sizeof *secrets, by_address);
    for (size_t i = 0; i < PAGES; i++) {
        gone[i] = secrets[2 * i];
        kept[i] = memset(secrets[2 * i + 1], 7, 2000);
    }
    in_thread(free_each, gone);
    assert_int_equal(securemem_arena_trim(arena), 0);
    for (size_t i = 0; i < NEW; i++) {
        assert_non_null(new[i] = securemem_arena_alloc(arena, 2000));
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(new[i], new[k]);
        memset(new[i], 1, 2000);
    }
    for (size_t i = 0; i < PAGES; i++)
        assert_true(all_bytes_are(kept[i], 2000, 7));
    securemem_arena_destroy(arena);
}

static void what_is_no_secret_of_a_run_is_told_apart(void **state)
{
    (void)state;
    size_t page = view_page_size(), places = page / 48;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    for (int i = 0; i < 2; i++) /* this thread knows the run */
        securemem_free(securemem_arena_alloc(arena, 40));
    char *secret = securemem_arena_alloc(arena, 40);
    assert_non_null(secret);
    assert_int_equal(free_tells(page_of(secret) + places * 48),
                     SECUREMEM_MISUSE_INTERIOR);
    assert_int_equal(free_tells(page_of(secret) + 500 * page), SECUREMEM_MISUSE_INTERIOR);
    for (ptrdiff_t i = -2; i < 1030; i++) { /* on both sides of a run of 1,024 */
        int kind = i == 0 ? 0 : free_tells(page_of(secret) + i * (ptrdiff_t)page);
        assert_true(i == 0 || kind == SECUREMEM_MISUSE_INTERIOR ||
                    kind == SECUREMEM_MISUSE_FOREIGN);
    }
    assert_int_equal(free_tells(secret), 0);
    securemem_arena_destroy(arena);
}

/* A thread has fewer caches than arenas: what it knew of one it forgets for the next. */
static void no_arena_hands_out_the_secrets_of_another(void **state)
{
    (void)state;
    securemem_arena *arenas[ARENAS];
    for (size_t i = 0; i < ARENAS; i++)
        arenas[i] = arena_of((securemem_arena_options){PACKED});
    for (size_t i = 1; i < ARENAS; i++) {
        char *first = securemem_arena_alloc(arenas[0], 32);
        char *other = securemem_arena_alloc(arenas[0], 32);
        securemem_free(first); /* the thread knows the run */
        assert_non_null(securemem_arena_alloc(arenas[i], 32));
        told = 0;
        securemem_arena_free(arenas[i], other);
        assert_int_equal(told, SECUREMEM_MISUSE_WRONG_ARENA);
        assert_int_equal(free_tells(other), 0);
        for (int k = 0; k < 40; k++)
            assert_ptr_not_equal(securemem_arena_alloc(arenas[i], 32), other);
    }
    for (size_t i = 0; i < ARENAS; i++)
        securemem_arena_destroy(arenas[i]);
}

/* A run that this thread knows ends in another one, and a new arena gets its addresses. */
static void a_run_that_ended_is_not_taken_for_its_arenas(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        static char *secrets[MANY];
        size_t count = view_page_size() / 48;
        securemem_arena *old = arena_of((securemem_arena_options){PACKED});
        char *first = securemem_arena_alloc(old, 32);
        char *second = securemem_arena_alloc(old, 32);
        securemem_free(first);
        securemem_free(second);
        for (size_t i = 0; i < count; i++) /* all of the page: nothing is cached */
            assert_non_null(secrets[i] = securemem_arena_alloc(old, 32));
        secrets[count] = NULL;
        in_thread(free_each, secrets);
        securemem_arena *new = arena_of((securemem_arena_options){PACKED});
        char *its = securemem_arena_alloc(new, 32),
             *other = securemem_arena_alloc(new, 32);
        assert_int_equal(free_tells(its), 0);
        char *olds = securemem_arena_alloc(old, 32);
        assert_ptr_not_equal(olds, its);
        told = 0;
        securemem_arena_free(old, other);
        assert_int_equal(told, SECUREMEM_MISUSE_WRONG_ARENA);
        securemem_arena_destroy(old);
        securemem_arena_destroy(new);
        assert_int_equal(view_locked_bytes(), budget_now().charged);
    }
}

static void *use_eight(void *arenas)
{
    for (size_t i = 0; i < 8; i++)
        for (int round = 0; round < 2; round++)
            securemem_free(securemem_arena_alloc(((securemem_arena **)arenas)[i], 32));
    return NULL;
}

static void a_thread_that_ends_gives_back_what_it_has_of_each_arena(void **state)
{
    (void)state;
    securemem_arena *arenas[8];
    size_t locked = view_locked_bytes();
    for (size_t i = 0; i < COUNT(arenas); i++)
        arenas[i] = arena_of((securemem_arena_options){PACKED});
    in_thread(use_eight, arenas);
    for (size_t i = 0; i < COUNT(arenas); i++)
        assert_int_equal(securemem_arena_trim(arenas[i]), 0);
    assert_int_equal(view_locked_bytes(), locked);
    for (size_t i = 0; i < COUNT(arenas); i++)
        securemem_arena_destroy(arenas[i]);
}

static pthread_key_t late_key;
static securemem_arena *late_arena;

/* A destructor of the program's that comes again and again, behind the library's. */
static void use_late(void *value)
{
    static _Thread_local int calls;
    for (int i = 0; i < 5; i++)
        securemem_free(securemem_arena_alloc(late_arena, 32));
    if (++calls < 3) /* the fourth time is that of a sanitizer's own end */
        pthread_setspecific(late_key, value);
}

static void *end_late(void *value)
{
    pthread_setspecific(late_key, value);
    for (int i = 0; i < 2; i++)
        securemem_free(securemem_arena_alloc(late_arena, 32));
    return NULL;
}

static void a_thread_that_is_ending_keeps_nothing(void **state)
{
    (void)state;
    size_t locked = view_locked_bytes();
    late_arena = arena_of((securemem_arena_options){PACKED});
    assert_int_equal(pthread_key_create(&late_key, use_late), 0);
    for (int i = 0; i < 10; i++)
        in_thread(end_late, &late_key);
    assert_int_equal(securemem_arena_trim(late_arena), 0);
    assert_int_equal(view_locked_bytes(), locked);
    securemem_arena_destroy(late_arena);
    pthread_key_delete(late_key);
}

static pthread_barrier_t barrier;

static void *outlive(void *arena)
{
    for (int round = 0; round < 3; round++) {
        char *secrets[16];
        for (size_t i = 0; i < COUNT(secrets); i++)
            NEED((secrets[i] = securemem_arena_alloc(arena, 64)) != NULL);
        for (size_t i = 0; i < COUNT(secrets); i++)
            securemem_free(secrets[i]);
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the arena ends */
    return NULL;
}

static void a_thread_may_end_after_an_arena_that_it_has_memory_of(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        securemem_arena_options options = {
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED, .idle = SIZE_MAX};
        size_t locked = view_locked_bytes();
        pthread_t thread;
        char *secrets[100];
        securemem_arena *arena = arena_of(options);
        pthread_barrier_init(&barrier, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, outlive, arena), 0);
        pthread_barrier_wait(&barrier);
        securemem_arena_destroy(arena);
        pthread_barrier_wait(&barrier);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&barrier);
        arena = arena_of(options);
        for (size_t i = 0; i < COUNT(secrets); i++)
            assert_non_null(secrets[i] = securemem_arena_alloc(arena, 64));
        for (size_t i = 0; i < COUNT(secrets); i++)
            assert_true(all_bytes_are(memset(secrets[i], 1, 64), 64, 1));
        securemem_arena_destroy(arena);
        assert_int_equal(view_locked_bytes(), locked);
    }
}

static void an_alignment_lasts(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    for (int i = 0; i < 30; i++) {
        char *secret = securemem_arena_alloc_aligned(arena, 56, 64);
        assert_non_null(secret = securemem_realloc(secret, 50));
        assert_non_null(secret = securemem_realloc(secret, 300));
        assert_int_equal((uintptr_t)secret % 64, 0);
    }
    securemem_arena_destroy(arena);
}

/* In 50 new arenas the first one would else lie in the first of a page's groups. */
/* The classes of the last one freed and of the next one differ, in both directions. */
static void of_many_sizes_each_is_wiped_as_a_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 1500, 100, 700, 32, 1000, 256};
    enum { OF_EACH = 3, ALL = OF_EACH * COUNT(sizes) };
    static const securemem_policy canaries[] = {SECUREMEM_DEFAULT, SECUREMEM_OFF};
    for (size_t c = 0; c < COUNT(canaries); c++) {
        securemem_arena *arena = arena_of(
            (securemem_arena_options){PACKED, .canaries = canaries[c], .idle = SIZE_MAX});
        for (int round = 0; round < 4; round++) { /* the first makes the cache */
            unsigned char *secrets[ALL];
            for (size_t i = 0; i < ALL; i++) {
                secrets[i] = securemem_arena_alloc(arena, sizes[i % COUNT(sizes)]);
                assert_non_null(secrets[i]);
                memset(secrets[i], (int)i + 1, sizes[i % COUNT(sizes)]);
            }
            for (size_t i = 0; i < ALL; i++)
                assert_true(all_bytes_are(secrets[i], sizes[i % COUNT(sizes)],
                                          (unsigned char)(i + 1)));
            for (size_t i = 0; i < ALL; i++) {
                assert_int_equal(free_tells(secrets[i]), 0);
                assert_true(all_bytes_are(secrets[i], sizes[i % COUNT(sizes)], 0));
            }
        }
        securemem_arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_were_full_hand_out_what_is_freed),
        cmocka_unit_test(freed_at_once_each_goes_back_to_its_page),
        cmocka_unit_test(what_is_no_secret_of_a_run_is_told_apart),
        cmocka_unit_test(no_arena_hands_out_the_secrets_of_another),
        cmocka_unit_test(a_run_that_ended_is_not_taken_for_its_arenas),
        cmocka_unit_test(a_thread_that_ends_gives_back_what_it_has_of_each_arena),
        cmocka_unit_test(a_thread_that_is_ending_keeps_nothing),
        cmocka_unit_test(a_thread_may_end_after_an_arena_that_it_has_memory_of),
        cmocka_unit_test(an_alignment_lasts),
        cmocka_unit_test(of_many_sizes_each_is_wiped_as_a_whole),
    };
    securemem_set_misuse_handler(tell, NULL);
    return RUN_GROUP(tests);
}
