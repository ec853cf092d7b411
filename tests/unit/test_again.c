/* SPDX-License-Identifier: ISC */
/*
 * What comes and goes again and again takes no more of the address space than what did so a
 * few times: threads, arenas with what others left in them, regions, and what is refused.
 */
#include <errno.h>
#include <pthread.h>

#include "unit/unit.h"

#define FEW  64
#define MANY 1500
#define EACH 40 /* secrets, more than a thread caches */

/* Sanitizers keep mappings of threads that ended. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THREADS_END 0
#else
#define THREADS_END 1
#endif

static size_t page;

/* What rounds of it add to the address space, once a few were there. */
static size_t growth(void (*once)(void *), void *argument, size_t rounds)
{
    for (size_t i = 0; i < FEW; i++)
        once(argument);
    size_t before = view_mapped_bytes();
    for (size_t i = 0; i < rounds; i++)
        once(argument);
    size_t after = view_mapped_bytes();
    return after > before ? after - before : 0;
}

static void *use_one(void *arena)
{
    void *secret = securemem_arena_alloc(arena, 32);
    NEED(secret != NULL);
    securemem_free(secret);
    return NULL;
}

static void in_a_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, body, argument) == 0);
    NEED(pthread_join(thread, NULL) == 0);
}

static void a_thread_comes_and_goes(void *arena)
{
    in_a_thread(use_one, arena);
}

static void threads(void **state)
{
    (void)state;
    if (!THREADS_END)
        SKIP("sanitizers keep mappings of threads that ended");
    securemem_arena *arena =
        arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED});
    assert_true(growth(a_thread_comes_and_goes, arena, MANY) < 4 * page);
    securemem_arena_destroy(arena);
}

static void *made[EACH];

static void *make_each(void *arena)
{
    for (size_t i = 0; i < EACH; i++)
        NEED((made[i] = securemem_arena_alloc(arena, 32)) != NULL);
    return NULL;
}

/* What this thread does not keep goes to the arena's depot. */
static void an_arena_comes_and_goes(void *unused)
{
    (void)unused;
    securemem_arena *arena = securemem_arena_create(&(securemem_arena_options){
        .guard_kind = SECUREMEM_GUARDS_PROT_NONE, .idle = SIZE_MAX});
    NEED(arena != NULL);
    in_a_thread(make_each, arena);
    use_one(arena);
    for (size_t i = 0; i < EACH; i++)
        securemem_free(made[i]);
    securemem_arena_destroy(arena);
}

static void arenas(void **state)
{
    (void)state;
    if (!THREADS_END)
        SKIP("sanitizers keep mappings of threads that ended");
    assert_true(growth(an_arena_comes_and_goes, NULL, FEW) < 16 * page);
}

/* Nothing may be idle: the last secret takes its region with it. */
static void a_region_comes_and_goes(void *arena)
{
    void *secret = securemem_arena_alloc(arena, 2 * page);
    NEED(secret != NULL);
    securemem_free(secret);
}

static void the_next_region_is_no_larger(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){0});
    void *secret = securemem_arena_alloc(arena, 2 * page);
    assert_non_null(secret);
    size_t one = view_mapped_bytes();
    securemem_free(secret);
    one -= view_mapped_bytes();
    for (size_t i = 0; i < FEW; i++)
        a_region_comes_and_goes(arena);
    size_t before = view_mapped_bytes();
    assert_non_null(securemem_arena_alloc(arena, 2 * page));
    assert_in_range(view_mapped_bytes() - before, one / 2, one * 2);
    securemem_arena_destroy(arena);
}

/* Of an arena whose budget is below a page. */
static void expect_no_region(securemem_arena_options options, bool reserve)
{
    options.budget = page - 1;
    securemem_arena *arena = arena_of(options);
    if (reserve)
        assert_int_equal(securemem_arena_reserve(arena, page), -ENOMEM);
    else
        assert_null(securemem_arena_alloc(arena, 32));
    size_t mapped = view_mapped_bytes(), mappings = view_mappings();
    securemem_arena_destroy(arena);
    assert_int_equal(view_mapped_bytes(), mapped);
    assert_int_equal(view_mappings(), mappings);
}

static void what_is_refused_leaves_no_region(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t i = 0; i < count; i++)
        for (int reserve = 0; reserve < 2; reserve++) {
            securemem_arena_options options = {.guard_kind = kinds[i]};
            expect_no_region(options, reserve);
            options.placement = SECUREMEM_PACKED;
            expect_no_region(options, reserve);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads),
        cmocka_unit_test(arenas),
        cmocka_unit_test(the_next_region_is_no_larger),
        cmocka_unit_test(what_is_refused_leaves_no_region),
    };
    page = view_page_size();
    return RUN_GROUP(tests);
}
