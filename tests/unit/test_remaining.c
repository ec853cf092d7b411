/* SPDX-License-Identifier: ISC */
/*
 * What an arena has left: for itself, in threads, in the depot; what it still gives where
 * it is nearly all in use, and what a refusal leaves as it was.
 */
#include <errno.h>
#include <pthread.h>

#include "unit/unit.h"

#define ROUNDS 3
#define LEFT   16

static size_t page;

static securemem_arena *arena_with(size_t budget, size_t idle)
{
    return arena_of(
        (securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                  .budget = budget * page,
                                  .idle = idle == SIZE_MAX ? idle : idle * page});
}

static void use(securemem_arena *arena, size_t count, size_t size)
{
    void *secrets[LEFT];
    for (size_t i = 0; i < count; i++)
        NEED((secrets[i] = securemem_arena_alloc(arena, size)) != NULL);
    for (size_t i = 0; i < count; i++)
        securemem_free(secrets[i]);
}

static pthread_barrier_t barrier;

/* Caches eight pages, and after another turn makes one call more. */
static void *keep_eight(void *arena)
{
    for (int i = 0; i < ROUNDS; i++)
        use(arena, 8, 64);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    void *secret = securemem_arena_alloc(arena, 64);
    securemem_free(secret);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void what_another_thread_keeps_is_given_back_with_its_next_call(void **state)
{
    (void)state;
    pthread_t thread;
    securemem_arena *arena = arena_with(8, 8);
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, keep_eight, arena), 0);
    pthread_barrier_wait(&barrier);
    assert_null(securemem_arena_alloc(arena, 5 * page));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    assert_non_null(securemem_arena_alloc(arena, 5 * page));
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    securemem_arena_destroy(arena);
}

#define THREADS 8

static void *keep_some(void *arena)
{
    for (int i = 0; i < ROUNDS; i++)
        use(arena, 8, 64);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void all_threads_together_keep_no_more_than_is_to_be_idle(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t locked = view_locked_bytes();
    securemem_arena *arena = arena_with(0, 8);
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_some, arena), 0);
    pthread_barrier_wait(&barrier);
    assert_true(view_locked_bytes() - locked <= 8 * page);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    securemem_arena_destroy(arena);
}

static securemem_arena *shared;
static void *made[LEFT];

static void *make_for_another(void *unused)
{
    for (size_t i = 0; i < LEFT; i++)
        NEED((made[i] = securemem_arena_alloc(shared, 64)) != NULL);
    return unused;
}

static void *free_anothers(void *unused)
{
    for (int i = 0; i < 2 * ROUNDS; i++)
        use(shared, LEFT, 64);
    for (size_t i = 0; i < LEFT; i++) /* half goes to the depot */
        securemem_free(made[i]);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return unused;
}

static void what_waits_in_the_depot_is_no_reason_to_refuse(void **state)
{
    (void)state;
    pthread_t thread;
    shared = arena_with(40, 40);
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, make_for_another, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, free_anothers, NULL), 0);
    pthread_barrier_wait(&barrier);
    assert_non_null(securemem_arena_alloc(shared, 24 * page - 100));
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    securemem_arena_destroy(shared);
}

static void what_this_thread_caches_is_no_reason_to_refuse(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of(
        (securemem_arena_options){.placement = SECUREMEM_PACKED, .budget = 4 * page});
    use(arena, 2, 32);
    use(arena, 2, 32);
    assert_non_null(securemem_arena_alloc(arena, 4 * page - 64));
    securemem_arena_destroy(arena);
}

static void a_refusal_leaves_what_is_reserved_and_no_mapping(void **state)
{
    (void)state;
    size_t locked = view_locked_bytes();
    securemem_arena *arena = arena_with(64, SIZE_MAX);
    assert_int_equal(securemem_arena_reserve(arena, 20 * page), 0);
    use(arena, 4, 2 * page);
    assert_null(securemem_arena_alloc(arena, 60 * page));
    assert_true(view_locked_bytes() - locked >= 20 * page);
    assert_int_equal(securemem_arena_reserve(arena, 70 * page), -ENOMEM);
    assert_int_equal(securemem_last_error()->needed, 50 * page);
    size_t mappings = view_mappings();
    for (size_t i = 0; i < 100; i++)
        assert_null(securemem_arena_alloc(arena, (64 + i % 20) * page));
    assert_true(view_mappings() <= mappings);
    securemem_arena_destroy(arena);
}

static void a_trim_ends_a_reservation(void **state)
{
    (void)state;
    size_t locked = view_locked_bytes();
    securemem_arena *arena = arena_with(0, 0);
    assert_int_equal(securemem_arena_reserve(arena, 4 * page), 0);
    assert_int_equal(view_locked_bytes() - locked, 4 * page);
    assert_int_equal(securemem_arena_trim(arena), 0);
    use(arena, 1, 64);
    assert_int_equal(view_locked_bytes(), locked);
    securemem_arena_destroy(arena);
}

static void what_may_stay_idle_stays_where_a_little_more_is_freed(void **state)
{
    (void)state;
    size_t locked = view_locked_bytes();
    securemem_arena *arena = arena_with(0, 40);
    use(arena, 16, 2 * page);
    assert_int_equal(view_locked_bytes() - locked, 24 * page); /* 16 are the thread's */
    securemem_arena_destroy(arena);
}

static void remaining_counts_whole_pages_or_has_no_end(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){
        .guard_kind = SECUREMEM_GUARDS_PROT_NONE, .budget = 2 * page + 100});
    if (budget_now().lock_unlimited)
        assert_int_equal(securemem_arena_remaining(arena), 2 * page);
    assert_true(securemem_arena_remaining(arena) <= 2 * page);
    securemem_arena_destroy(arena);
    arena = arena_of((securemem_arena_options){.lock = SECUREMEM_OFF, .idle = SIZE_MAX});
    assert_int_equal(securemem_arena_remaining(arena), SIZE_MAX);
    use(arena, 1, 3 * page);
    assert_int_equal(securemem_arena_remaining(arena), SIZE_MAX);
    securemem_arena_destroy(arena);
}

static int keep_as_many(void *arena)
{
    use(arena, 8, 64);
    NEED(view_locked_bytes() == 8 * page);
    return 0;
}

/* What the parent's threads have of that is none of the child's. */
static void what_may_stay_idle_may_stay_so_in_a_child(void **state)
{
    (void)state;
    securemem_arena *arena = arena_with(0, 8);
    use(arena, 8, 64);
    CHILD_PASSES(keep_as_many, arena);
    securemem_arena_destroy(arena);
}

static size_t calls;

static void count_call(securemem_arena *arena, size_t remaining, void *user)
{
    (void)arena;
    (void)remaining;
    (void)user;
    calls++;
}

static void what_comes_and_goes_at_the_mark_is_told_of_once(void **state)
{
    (void)state;
    calls = 0;
    securemem_arena *arena =
        arena_of((securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                           .budget = 4 * page,
                                           .low = 2 * page,
                                           .on_low = count_call});
    assert_non_null(securemem_arena_alloc(arena, 64));
    assert_non_null(securemem_arena_alloc(arena, 64));
    size_t before = calls;
    for (int i = 0; i < 5; i++)
        use(arena, 1, 64);
    assert_true(before <= 1 && calls == 1);
    securemem_arena_destroy(arena);
}

static size_t depth, deepest;

/* Is refused itself, after another arena had a call of its own in it. */
static void ask_for_more(securemem_arena *arena, size_t remaining, void *other)
{
    (void)remaining;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (other != NULL && depth < 8) {
        NEED(securemem_arena_alloc(other, 64) != NULL);
        NEED(securemem_arena_alloc(arena, 64) == NULL);
    }
    depth--;
}

static void what_is_refused_in_a_call_makes_no_other(void **state)
{
    (void)state;
    securemem_arena_options options = {.guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                       .budget = page,
                                       .low = page,
                                       .on_low = ask_for_more};
    securemem_arena *inner = arena_of(options);
    options.user = inner;
    securemem_arena *arena = arena_of(options);
    assert_non_null(securemem_arena_alloc(arena, 64));
    assert_int_equal(deepest, 2);
    securemem_arena_destroy(arena);
    securemem_arena_destroy(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_thread_keeps_is_given_back_with_its_next_call),
        cmocka_unit_test(all_threads_together_keep_no_more_than_is_to_be_idle),
        cmocka_unit_test(what_waits_in_the_depot_is_no_reason_to_refuse),
        cmocka_unit_test(what_this_thread_caches_is_no_reason_to_refuse),
        cmocka_unit_test(a_refusal_leaves_what_is_reserved_and_no_mapping),
        cmocka_unit_test(a_trim_ends_a_reservation),
        cmocka_unit_test(what_may_stay_idle_stays_where_a_little_more_is_freed),
        cmocka_unit_test(what_may_stay_idle_may_stay_so_in_a_child),
        cmocka_unit_test(remaining_counts_whole_pages_or_has_no_end),
        cmocka_unit_test(what_comes_and_goes_at_the_mark_is_told_of_once),
        cmocka_unit_test(what_is_refused_in_a_call_makes_no_other),
    };
    page = view_page_size();
    return RUN_GROUP(tests);
}
