/* SPDX-License-Identifier: ISC */
/* What a free leaves: nothing, or idle memory that is wiped, locked and used again. */
#include <errno.h>
#include <pthread.h>

#include "unit/unit.h"

static securemem_arena *idle_arena(securemem_guard_kind kind, size_t idle)
{
    return arena_of((securemem_arena_options){.guard_kind = kind, .idle = idle});
}

/* A neighbour keeps the region, so that what is seen is the slot and not its end. */
static void without_idle_memory_a_freed_secret_faults(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena = idle_arena(kinds[k], 0);
        char *neighbour = securemem_arena_alloc(arena, 32);
        char *secret = securemem_arena_alloc(arena, 32);
        assert_non_null(neighbour);
        assert_non_null(secret);
        memset(secret, 1, 32);
        memset(neighbour, 2, 32);
        securemem_free(secret);
        assert_false(view_readable(secret));
        assert_true(all_bytes_are(neighbour, 32, 2));
        assert_int_equal(budget_now().charged, view_locked_bytes());
        securemem_free(neighbour);
        struct view view;
        assert_false(view_at(secret, &view));
        assert_false(view_at(neighbour, &view));
        securemem_arena_destroy(arena);
    }
}

static void without_idle_memory_a_free_gives_the_lock_back(void **state)
{
    (void)state;
    securemem_arena *arena = idle_arena(SECUREMEM_GUARDS_PROT_NONE, 0);
    void *neighbour = securemem_arena_alloc(arena, 32);
    assert_non_null(neighbour);
    size_t locked = view_locked_bytes();
    void *secret = securemem_arena_alloc(arena, 32);
    assert_non_null(secret);
    assert_int_equal(view_locked_bytes(), locked + view_page_size());
    securemem_free(secret);
    assert_int_equal(view_locked_bytes(), locked);
    assert_int_equal(budget_now().charged, locked);
    securemem_arena_destroy(arena);
}

static void idle_memory_is_wiped_locked_and_used_again(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds), page = view_page_size();
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena = idle_arena(kinds[k], SIZE_MAX);
        char *secret = securemem_arena_alloc(arena, 100);
        assert_non_null(secret);
        memset(secret, 0x3c, 100);
        assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
        char *first = first_page(secret, 100);
        size_t locked = view_locked_bytes();
        securemem_free(secret);
        assert_int_equal(view_locked_bytes(), locked);
        struct view view;
        assert_true(view_at(first, &view));
        assert_true(view_has(&view, "lo"));
        assert_true(all_bytes_are(first, page, 0));

        char *again = securemem_arena_alloc(arena, 40);
        assert_non_null(again);
        assert_ptr_equal(first_page(again, 40), first);
        assert_true(all_bytes_are(again, 40, 0));
        assert_true(permissions_are(again, "rw-p"));
        assert_int_equal(view_locked_bytes(), locked);
        securemem_free(again);
        securemem_arena_destroy(arena);
    }
}

static void no_more_is_idle_than_was_asked_for(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_arena *arena = idle_arena(SECUREMEM_GUARDS_PROT_NONE, 2 * page);
    size_t locked = view_locked_bytes();
    void *secrets[8];
    for (size_t i = 0; i < COUNT(secrets); i++) {
        secrets[i] = securemem_arena_alloc(arena, 16);
        assert_non_null(secrets[i]);
    }
    for (size_t i = 0; i < COUNT(secrets); i++)
        securemem_free(secrets[i]);
    assert_int_equal(view_locked_bytes() - locked, 2 * page);
    securemem_arena_destroy(arena);
    assert_int_equal(view_locked_bytes(), locked);
}

static void trim_gives_idle_memory_back(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds), mappings = view_mappings();
    for (int round = 0; round < 2; round++)
        for (size_t k = 0; k < count; k++) {
            securemem_arena *arena = idle_arena(kinds[k], SIZE_MAX);
            size_t locked = view_locked_bytes();
            void *secrets[40];
            for (size_t i = 0; i < COUNT(secrets); i++) {
                secrets[i] = securemem_arena_alloc(arena, 1 + i % 3 * view_page_size());
                assert_non_null(secrets[i]);
            }
            for (size_t i = 0; i < COUNT(secrets); i++)
                securemem_free(secrets[i]);
            assert_true(view_locked_bytes() > locked);
            assert_int_equal(securemem_arena_trim(arena), 0);
            assert_int_equal(view_locked_bytes(), locked);
            assert_int_equal(budget_now().charged, locked);
            if (round == 0)
                mappings = view_mappings(); /* warm */
            else
                assert_true(view_mappings() <= mappings);
            assert_int_equal(securemem_arena_trim(arena), 0);
            void *after = securemem_arena_alloc(arena, 16);
            assert_non_null(after);
            securemem_arena_destroy(arena);
        }
}

static void trim_leaves_live_secrets_alone(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena = idle_arena(kinds[k], SIZE_MAX);
        char *secrets[20];
        for (size_t i = 0; i < COUNT(secrets); i++) {
            secrets[i] = securemem_arena_alloc(arena, 32);
            assert_non_null(secrets[i]);
            memset(secrets[i], (int)i, 32);
        }
        for (size_t i = 0; i < COUNT(secrets); i += 2)
            securemem_free(secrets[i]);
        assert_int_equal(securemem_arena_trim(arena), 0);
        assert_int_equal(budget_now().charged, view_locked_bytes());
        for (size_t i = 0; i < COUNT(secrets); i++) {
            securemem_protection report;
            if (i % 2 == 0) {
                assert_false(view_readable(secrets[i]));
                continue;
            }
            assert_true(all_bytes_are(secrets[i], 32, (unsigned char)i));
            assert_int_equal(securemem_protection(secrets[i], &report), 0);
            assert_int_equal(report.lock.holds, 1);
            assert_int_equal(report.guards.holds, 1);
        }
        for (size_t i = 0; i < COUNT(secrets); i += 2) {
            secrets[i] = securemem_arena_alloc(arena, 32);
            assert_non_null(secrets[i]);
            assert_true(all_bytes_are(secrets[i], 32, 0));
        }
        assert_int_equal(budget_now().charged, view_locked_bytes());
        securemem_arena_destroy(arena);
    }
}

static void a_recycled_slot_has_the_access_of_a_new_secret(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++)
        for (size_t size = 30; size < 9000; size += 8000) {
            securemem_arena *arena = arena_of(
                (securemem_arena_options){.guard_kind = kinds[k], .idle = SIZE_MAX});
            char *secret = securemem_arena_alloc(arena, size);
            assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
            assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
            securemem_free(secret);
            char *next = securemem_arena_alloc(arena, size);
            assert_ptr_equal(next, secret);
            securemem_protection report;
            assert_int_equal(securemem_protection(next, &report), 0);
            assert_int_equal(report.open_scopes, 0);
            assert_int_equal(report.resting_access, SECUREMEM_WRITE);
            assert_true(permissions_are(next, "rw-p"));
            assert_int_equal(securemem_close(next), -EINVAL);
            securemem_arena_destroy(arena);
        }
}

/* Secrets that leave nothing over of a page: so many pages are full, and no other is needed. */
static void trim_gives_back_what_a_run_has_beyond_its_last_page(void **state)
{
    (void)state;
    size_t page = view_page_size(), of_a_page = page / 64, pages = 80;
    securemem_arena *arena = arena_of((securemem_arena_options){
        .placement = SECUREMEM_PACKED, .canaries = SECUREMEM_OFF});
    size_t locked = view_locked_bytes();
    char *last = NULL;
    for (size_t i = 0; i < pages * of_a_page; i++) {
        char *secret = securemem_arena_alloc(arena, 64);
        assert_non_null(secret);
        last = secret > last ? secret : last;
    }
    assert_true(view_locked_bytes() - locked > pages * page); /* more than it needs */
    assert_int_equal(securemem_arena_trim(arena), 0);
    assert_int_equal(view_locked_bytes() - locked, pages * page);
    assert_int_equal(budget_now().charged, view_locked_bytes());
    struct view view;
    assert_true(view_at(first_page(last, 64) + page, &view));
    assert_string_equal(view.permissions, "---p");
    assert_int_equal(view.resident_kb, 0);
    securemem_arena_destroy(arena);
}

/* Whether each page is in memory: a touch that has to bring one in may end the process. */
static bool is_in_memory(void *start, size_t length)
{
    unsigned char there[4];
    size_t page = view_page_size();
    assert_true(length / page <= sizeof there);
    assert_int_equal(mincore(start, length, there), 0);
    for (size_t i = 0; i < length / page; i++)
        if ((there[i] & 1) == 0)
            return false;
    return true;
}

/* Of whole pages, so that no canary brings them in. */
static void a_secret_that_nobody_touched_is_in_memory(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds), size = 3 * view_page_size();
    char *plain =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(plain != MAP_FAILED);
    bool tells = !is_in_memory(plain, size);
    assert_int_equal(munmap(plain, size), 0);
    if (!tells)
        SKIP("this kernel says of memory that nobody touched that it is there");
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena = idle_arena(kinds[k], 0);
        char *secrets[5]; /* batches of 1, 1, 2 and 4 */
        for (size_t i = 0; i < COUNT(secrets); i++) {
            secrets[i] = securemem_arena_alloc(arena, size);
            assert_true(secrets[i] != NULL && is_in_memory(secrets[i], size));
        }
        securemem_free(secrets[3]);
        secrets[3] = securemem_arena_alloc(arena, size);
        assert_true(secrets[3] != NULL && is_in_memory(secrets[3], size));
        securemem_arena_destroy(arena);
    }
}

static void *come_and_go(void *arena)
{
    void *secret = securemem_arena_alloc(arena, 16);
    securemem_free(secret);
    return secret;
}

/* Each keeps some of what the arena may keep, for as long as it is there. */
static void threads_that_end_leave_others_what_they_could_keep(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_arena *arena = idle_arena(SECUREMEM_GUARDS_PROT_NONE, 20 * page);
    size_t locked = view_locked_bytes();
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *result;
        assert_int_equal(pthread_create(&thread, NULL, come_and_go, arena), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_non_null(result);
    }
    void *secrets[20];
    for (size_t i = 0; i < COUNT(secrets); i++)
        assert_non_null(secrets[i] = securemem_arena_alloc(arena, 16));
    for (size_t i = 0; i < COUNT(secrets); i++)
        securemem_free(secrets[i]);
    assert_in_range(view_locked_bytes() - locked, 10 * page, 20 * page);
    securemem_arena_destroy(arena);
}

static const void *told;

static void note_misuse(const securemem_misuse *misuse, void *user)
{
    (void)user;
    told = misuse->kind == SECUREMEM_MISUSE_CANARY ? misuse->pointer : NULL;
}

/* What is found when the slot leaves the cache must not be lost by its use before that. */
static void a_write_far_before_is_found_when_a_larger_one_takes_its_place(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_set_misuse_handler(note_misuse, NULL);
    securemem_arena *arena = idle_arena(SECUREMEM_GUARDS_PROT_NONE, 8 * page);
    securemem_free(securemem_arena_alloc(arena, 16)); /* cached from now on */
    char *secret = securemem_arena_alloc(arena, 16);
    memset(secret - 1000, 'K', 200);
    securemem_free(secret);
    told = NULL;
    for (size_t i = 0; i < 8 && told == NULL; i++) /* which page is not foreseen */
        assert_non_null(securemem_arena_alloc(arena, 2000));
    assert_ptr_equal(told, secret);
    securemem_arena_destroy(arena);
    securemem_set_misuse_handler(NULL, NULL);
}

/* Four pages, all of them idle or cached, do for a secret of another size. */
static void idle_memory_does_not_stand_in_the_way_of_another_size(void **state)
{
    (void)state;
    size_t page = view_page_size();
    if (!view_guard_regions_exist())
        SKIP("guard regions, which are charged, need Linux 6.13");
    for (int policy = SECUREMEM_REQUIRED; policy <= SECUREMEM_PREFERRED; policy++)
        for (size_t freed = 1; freed <= 4; freed++) {
            securemem_arena *arena =
                arena_of((securemem_arena_options){.lock = (securemem_policy)policy,
                                                   .guards = (securemem_policy)policy,
                                                   .guard_kind = SECUREMEM_GUARDS_REGION,
                                                   .idle = SIZE_MAX,
                                                   .budget = 9 * page});
            void *secrets[4];
            for (size_t i = 0; i < freed; i++)
                secrets[i] = securemem_arena_alloc(arena, 100);
            for (size_t i = 0; i < freed; i++)
                securemem_free(secrets[i]);
            char *large = securemem_arena_alloc(arena, 6 * page);
            assert_non_null(large);
            securemem_protection report;
            assert_int_equal(securemem_protection(large, &report), 0);
            assert_true(report.lock.holds && report.guards.holds);
            struct view view;
            assert_true(view_at(large, &view) && view_has(&view, "lo"));
            assert_false(view_readable(large + 6 * page));
            securemem_arena_destroy(arena);
        }
}

/* Idle memory of larger secrets is not what was reserved: pages are, each to be had. */
static void what_is_reserved_is_had_beside_idle_memory_of_other_sizes(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (int packed = 0; packed < 2; packed++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
            .idle = SIZE_MAX,
            .budget = 10 * page});
        void *larger[5];
        for (size_t i = 0; i < COUNT(larger); i++)
            assert_non_null(larger[i] = securemem_arena_alloc(arena, 2 * page));
        for (size_t i = 0; i < COUNT(larger); i++)
            securemem_free(larger[i]);
        assert_int_equal(securemem_arena_reserve(arena, 10 * page), 0);
        assert_true(view_locked_bytes() >= 10 * page);
        for (int i = 0; i < 10; i++)
            assert_non_null(securemem_arena_alloc(arena, packed ? 2000 : page));
        securemem_arena_destroy(arena);
    }
}

/* The arena keeps no memory, idle or ahead, that would have served what it refuses. */
static void nothing_is_refused_that_a_trim_would_make_room_for(void **state)
{
    (void)state;
    static const size_t sizes[] = {24, 120, 500, 1000, 2039, 2041, 4096, 8192, 20000};
    size_t page = view_page_size();
    uint64_t random = 1;
    for (unsigned round = 0; round < 300; round++) {
        size_t size, pages = 3 + round % 60;
        securemem_arena *arena =
            arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED,
                                               .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                               .idle = round % 2 == 0 ? 0 : SIZE_MAX,
                                               .budget = pages * page});
        do {
            random = random * 6364136223846793005U + 1442695040888963407U;
            size = sizes[(random >> 33) % COUNT(sizes)];
        } while (securemem_arena_alloc(arena, size) != NULL);
        assert_int_equal(errno, ENOMEM);
        assert_true(securemem_arena_remaining(arena) < (size + page - 1) / page * page);
        assert_int_equal(securemem_arena_trim(arena), 0);
        assert_null(securemem_arena_alloc(arena, size));
        securemem_arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recycled_slot_has_the_access_of_a_new_secret),
        cmocka_unit_test(without_idle_memory_a_freed_secret_faults),
        cmocka_unit_test(without_idle_memory_a_free_gives_the_lock_back),
        cmocka_unit_test(idle_memory_is_wiped_locked_and_used_again),
        cmocka_unit_test(no_more_is_idle_than_was_asked_for),
        cmocka_unit_test(trim_gives_idle_memory_back),
        cmocka_unit_test(trim_gives_back_what_a_run_has_beyond_its_last_page),
        cmocka_unit_test(a_secret_that_nobody_touched_is_in_memory),
        cmocka_unit_test(threads_that_end_leave_others_what_they_could_keep),
        cmocka_unit_test(trim_leaves_live_secrets_alone),
        cmocka_unit_test(a_write_far_before_is_found_when_a_larger_one_takes_its_place),
        cmocka_unit_test(idle_memory_does_not_stand_in_the_way_of_another_size),
        cmocka_unit_test(what_is_reserved_is_had_beside_idle_memory_of_other_sizes),
        cmocka_unit_test(nothing_is_refused_that_a_trim_would_make_room_for),
    };
    return RUN_GROUP(tests);
}
