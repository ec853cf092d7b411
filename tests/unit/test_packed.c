/* SPDX-License-Identifier: ISC */
/* Packed secrets: how they lie, what is around them, what a fork and a trim leave. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/truth.h"

#define PACKED .placement = SECUREMEM_PACKED
#define MANY   3000

static char *secrets[MANY];

static void fill_arena(securemem_arena *arena, size_t size, unsigned char byte)
{
    for (size_t i = 0; i < MANY; i++) {
        secrets[i] = securemem_arena_alloc(arena, size);
        assert_non_null(secrets[i]);
        assert_true(all_bytes_are(secrets[i], size, 0));
        memset(secrets[i], byte, size);
    }
}

static void free_all(void)
{
    for (size_t i = 0; i < MANY; i++)
        securemem_free(secrets[i]);
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return x < y ? -1 : x > y;
}

static void secrets_do_not_overlap_and_many_share_a_locked_page(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 8, 16, 24, 32, 48, 100, 256, 264, 1000, 2000};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
        size_t locked = view_locked_bytes();
        fill_arena(arena, sizes[s], 0xa7);
        assert_true(view_locked_bytes() - locked < 2 * MANY * (sizes[s] + 48));
        qsort(secrets, MANY, sizeof *secrets, by_address);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal((uintptr_t)secrets[i] % SECUREMEM_ALIGNMENT, 0);
            assert_int_equal(securemem_size(secrets[i]), sizes[s]);
            assert_true(all_bytes_are(secrets[i], sizes[s], 0xa7));
            assert_true(i == 0 || secrets[i - 1] + sizes[s] + 8 <= secrets[i]);
        }
        free_all();
        securemem_arena_destroy(arena);
        assert_int_equal(view_locked_bytes(), locked);
    }
}

static void the_order_of_secrets_is_not_that_of_addresses(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    fill_arena(arena, 32, 1);
    size_t next = 0;
    for (size_t i = 1; i < MANY; i++)
        next += secrets[i] == secrets[i - 1] + 48;
    assert_true(next < MANY / 4);
    free_all();
    securemem_arena_destroy(arena);
}

static void the_report_is_what_the_kernel_says(void **state)
{
    (void)state;
    for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++)
        for (int lock = SECUREMEM_REQUIRED; lock <= SECUREMEM_OFF; lock++) {
            securemem_arena *arena = arena_of((securemem_arena_options){
                PACKED, .fork = (securemem_fork)fork, .lock = (securemem_policy)lock});
            char *secret = securemem_arena_alloc(arena, 40);
            assert_non_null(secret);
            securemem_protection report;
            struct view view;
            assert_int_equal(securemem_protection(secret, &report), 0);
            assert_true(view_at(secret, &view));
            assert_int_equal(report.placement, SECUREMEM_PACKED);
            assert_int_equal(report.size, 40);
            assert_int_equal(report.lock.holds, view_has(&view, "lo"));
            assert_int_equal(report.lock.holds, lock != SECUREMEM_OFF);
            assert_int_equal(report.no_dump.holds, view_has(&view, "dd"));
            assert_int_equal(report.no_merge.holds, !view_has(&view, "mg"));
            if (fork == SECUREMEM_FORK_WIPE)
                assert_true(view_has(&view, "wf") && report.fork_safety.holds);
            if (fork == SECUREMEM_FORK_DROP)
                assert_true(view_has(&view, "dc") && report.fork_safety.holds);
            assert_int_equal(report.guards.holds, 1);
            assert_false(view_readable((char *)view.start - 1));
            assert_false(view_readable((char *)view.end));
            securemem_arena_destroy(arena);
        }
}

static void large_and_aligned_ones_are_where_they_fit(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    securemem_protection report;
    size_t page = view_page_size();
    for (size_t alignment = 1; alignment <= page; alignment *= 2)
        for (size_t size = 1; size <= 4 * page; size = size * 2 + 3) {
            char *secret = securemem_arena_alloc_aligned(arena, size, alignment);
            assert_non_null(secret);
            assert_int_equal((uintptr_t)secret % alignment, 0);
            assert_true(all_bytes_are(secret, size, 0));
            memset(secret, 0xff, size);
            assert_int_equal(securemem_protection(secret, &report), 0);
            assert_int_equal(report.placement, size + 8 > 2048 || alignment > 2048
                                                   ? SECUREMEM_GUARDED
                                                   : SECUREMEM_PACKED);
            assert_int_equal(report.size, size);
            assert_true(report.alignment >= alignment);
            secret = securemem_realloc(secret, size + 1);
            assert_non_null(secret);
            assert_int_equal((uintptr_t)secret % alignment, 0);
            assert_true(all_bytes_are(secret, size, 0xff) && secret[size] == 0);
            securemem_free(secret);
        }
    securemem_arena_destroy(arena);
}

static void a_packed_secret_has_no_access_of_its_own(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    char *secret = securemem_arena_alloc(arena, 32);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), -ENOTSUP);
    assert_int_equal(securemem_open(secret, SECUREMEM_READ), -ENOTSUP);
    assert_non_null(strstr(securemem_last_error()->message, "SECUREMEM_GUARDED"));
    assert_int_equal(securemem_close(secret), -ENOTSUP);
    secret[0] = 1; /* it is as it was */
    char *large = securemem_arena_alloc(arena, 3000);
    memset(large, 5, 3000);
    assert_int_equal(securemem_set_access(large, SECUREMEM_NONE), 0);
    /* What has access of its own keeps it, also when it would fit among packed ones. */
    large = securemem_realloc(large, 100);
    securemem_protection report;
    assert_int_equal(securemem_protection(large, &report), 0);
    assert_int_equal(report.placement, SECUREMEM_GUARDED);
    assert_int_equal(report.access, SECUREMEM_NONE);
    securemem_arena_destroy(arena);
}

static const void *told;
static unsigned told_times;

static void note_misuse(const securemem_misuse *misuse, void *user)
{
    (void)user;
    told = misuse->kind == SECUREMEM_MISUSE_CANARY ? misuse->pointer : NULL;
    told_times++;
}

static void an_overflow_is_found_by_check_free_and_destroy(void **state)
{
    (void)state;
    securemem_set_misuse_handler(note_misuse, NULL);
    const size_t sizes[] = {0, 1, 7, 16, 31, 32, 200, 333, 1024, 2000};
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int by_destroy = 0; by_destroy < 2; by_destroy++) {
            securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
            fill_arena(arena, sizes[s], 3);
            assert_int_equal(securemem_arena_check(arena), 0);
            char *victim = secrets[MANY / 2];
            victim[sizes[s]] = 0; /* as a terminator would */
            told = NULL;
            assert_int_equal(securemem_arena_check(arena), -EBADMSG);
            assert_ptr_equal(told, victim);
            told = NULL;
            if (by_destroy)
                securemem_arena_destroy(arena);
            else
                securemem_free(victim);
            assert_ptr_equal(told, victim);
            if (!by_destroy) {
                assert_int_equal(securemem_arena_check(arena), 0);
                securemem_arena_destroy(arena);
            }
        }
    securemem_set_misuse_handler(NULL, NULL);
}

/* The canary is the first and the last 8 bytes behind the secret. */
static void each_byte_of_a_canary_is_compared(void **state)
{
    (void)state;
    const size_t size = 90, stride = 112, bytes = 8;
    securemem_set_misuse_handler(note_misuse, NULL);
    securemem_arena *arena =
        arena_of((securemem_arena_options){PACKED, .idle = SIZE_MAX});
    fill_arena(arena, size, 3);
    char *victim = secrets[MANY / 2];
    for (size_t i = 0; i < 4 * bytes; i++) {
        size_t k = i % (2 * bytes), at = k < bytes ? size + k : stride - 2 * bytes + k;
        if (i == 2 * bytes) /* and zeros alone are taken for this */
            assert_int_equal(securemem_wipe_all(), 0);
        victim[at] ^= 2; /* never to zero: the lowest bit of each byte is set */
        assert_int_equal(securemem_arena_check(arena), -EBADMSG);
        victim[at] ^= 2;
        assert_int_equal(securemem_arena_check(arena), 0);
    }
    securemem_arena_destroy(arena);
    securemem_set_misuse_handler(NULL, NULL);
}

static void
a_secret_that_shrinks_where_it_is_leaves_nothing_and_hides_nothing(void **state)
{
    (void)state;
    const struct {
        size_t from, to;
    } sizes[] = {{40, 33}, {100, 89}, {90, 89}, {1000, 990}};
    securemem_set_misuse_handler(note_misuse, NULL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t from = sizes[i].from, to = sizes[i].to;
        securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
        char *secret = securemem_arena_alloc(arena, from);
        memset(secret, 0x5c, from);
        assert_ptr_equal(securemem_realloc(secret, to), secret);
        assert_true(all_bytes_are(secret, to, 0x5c));
        for (size_t k = to; k + 1 < from; k++) /* two alike may be canary */
            assert_false(secret[k] == 0x5c && secret[k + 1] == 0x5c);
        assert_ptr_equal(securemem_realloc(secret, from), secret);
        assert_true(all_bytes_are(secret + to, from - to, 0));
        secret[from] ^= 1;
        told = NULL;
        assert_non_null(securemem_realloc(secret, to));
        assert_ptr_equal(told, secret);
        securemem_arena_destroy(arena);
    }
    securemem_set_misuse_handler(NULL, NULL);
}

/* On pages that come afterwards zeros are no wipe. */
static void a_terminator_is_found_after_everything_was_wiped(void **state)
{
    (void)state;
    securemem_set_misuse_handler(note_misuse, NULL);
    /* In this order there is something to wipe. */
    for (int older = 1; older >= 0; older--) {
        securemem_arena *arena =
            arena_of((securemem_arena_options){PACKED, .idle = SIZE_MAX});
        fill_arena(arena, 24, 3);
        for (size_t i = 0; i < MANY && !older; i++)
            securemem_free(secrets[i]);
        assert_int_equal(securemem_arena_trim(arena), 0);
        assert_int_equal(securemem_wipe_all(), 0);
        char *victim = older ? secrets[MANY / 2] : securemem_arena_alloc(arena, 24);
        victim[24] = 0;
        assert_int_equal(securemem_arena_check(arena), older ? 0 : -EBADMSG);
        victim[24] = 2; /* which no wipe leaves; a canary has no even byte */
        assert_int_equal(securemem_arena_check(arena), -EBADMSG);
        told = NULL;
        securemem_free(victim);
        assert_ptr_equal(told, victim);
        securemem_arena_destroy(arena);
    }
    securemem_set_misuse_handler(NULL, NULL);
}

static void a_write_before_a_secret_is_found_by_its_neighbour(void **state)
{
    (void)state;
    securemem_set_misuse_handler(note_misuse, NULL);
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    fill_arena(arena, 32, 3);
    told = NULL;
    qsort(secrets, MANY, sizeof *secrets, by_address);
    size_t i = 1;
    while (secrets[i] != secrets[i - 1] + 48)
        i++;
    secrets[i][-1] = 'x';
    securemem_free(secrets[i]);
    assert_null(told);
    securemem_free(secrets[i - 1]);
    assert_ptr_equal(told, secrets[i - 1]);
    securemem_arena_destroy(arena);
    securemem_set_misuse_handler(NULL, NULL);
}

static unsigned kinds_told[8];

static void count_misuse(const securemem_misuse *misuse, void *user)
{
    (void)user;
    kinds_told[misuse->kind]++;
}

static void wrong_frees_are_told_apart(void **state)
{
    (void)state;
    securemem_set_misuse_handler(count_misuse, NULL);
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    securemem_arena *other = arena_of((securemem_arena_options){PACKED});
    char *kept = securemem_arena_alloc(arena, 32);
    char *secret = securemem_arena_alloc(arena, 32);
    memset(kept, 9, 32);
    securemem_free(secret + 1);
    securemem_free(secret + 16);
    assert_int_equal(kinds_told[SECUREMEM_MISUSE_INTERIOR], 2);
    memset(kinds_told, 0, sizeof kinds_told);
    securemem_arena_free(other, secret);
    assert_int_equal(kinds_told[SECUREMEM_MISUSE_WRONG_ARENA], 1);
    securemem_free(secret);
    securemem_free(secret);
    assert_int_equal(kinds_told[SECUREMEM_MISUSE_DOUBLE_FREE], 1);
    assert_int_equal(securemem_arena_trim(arena), 0);
    securemem_free(secret);
    assert_int_equal(kinds_told[SECUREMEM_MISUSE_DOUBLE_FREE], 2);
    assert_true(all_bytes_are(kept, 32, 9));
    assert_null(securemem_realloc(secret, 8));
    assert_int_equal(errno, EINVAL);
    securemem_arena_destroy(arena);
    securemem_arena_destroy(other);
    securemem_set_misuse_handler(NULL, NULL);
}

/* Every page of the arena, read while it is still there. */
static void no_byte_of_a_freed_secret_is_left(void **state)
{
    (void)state;
    const size_t sizes[] = {5, 32, 100, 500, 2000};
    for (int canaries = 0; canaries < 2; canaries++)
        for (size_t s = 0; s < COUNT(sizes); s++) {
            securemem_arena *arena = arena_of((securemem_arena_options){
                PACKED, .canaries = canaries ? SECUREMEM_REQUIRED : SECUREMEM_OFF});
            fill_arena(arena, sizes[s], 0xd9);
            for (size_t i = 1; i < MANY; i++)
                securemem_free(secrets[i]);
            struct view view;
            assert_true(view_at(secrets[0], &view));
            size_t found = 0;
            for (const char *at = (char *)view.start; at + sizes[s] <= (char *)view.end;
                 at += 8)
                found += at != secrets[0] &&
                         all_bytes_are(at, sizes[s] < 16 ? 5 : 16, 0xd9) &&
                         (at < secrets[0] || at >= secrets[0] + sizes[s]);
            assert_int_equal(found, 0);
            securemem_arena_destroy(arena);
        }
}

static void realloc_within_a_class_stays_and_wipes_what_it_leaves(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    unsigned char *secret = securemem_arena_alloc(arena, 40);
    memset(secret, 0xee, 40);
    assert_ptr_equal(securemem_realloc(secret, 33), secret);
    assert_true(all_bytes_are(secret, 33, 0xee));
    assert_ptr_equal(securemem_realloc(secret, 40), secret);
    assert_true(all_bytes_are(secret, 33, 0xee) && all_bytes_are(secret + 33, 7, 0));
    unsigned char *moved = securemem_realloc(secret, 41);
    assert_ptr_not_equal(moved, secret);
    assert_true(all_bytes_are(moved, 33, 0xee) && all_bytes_are(moved + 33, 8, 0));
    assert_true(all_bytes_are(secret, 40, 0));
    unsigned char *copy = securemem_dup(moved);
    assert_int_equal(securemem_size(copy), 41);
    assert_true(all_bytes_are(copy, 33, 0xee));
    assert_int_equal(securemem_arena_check(arena), 0);
    securemem_arena_destroy(arena);
}

static void trim_gives_back_what_is_idle_and_what_threads_kept(void **state)
{
    (void)state;
    securemem_arena *arena =
        arena_of((securemem_arena_options){PACKED, .idle = SIZE_MAX});
    size_t locked = view_locked_bytes();
    fill_arena(arena, 64, 1);
    assert_true(view_locked_bytes() - locked >= MANY * 64);
    free_all();
    assert_true(view_locked_bytes() - locked >= MANY * 64);
    assert_int_equal(securemem_arena_trim(arena), 0);
    assert_int_equal(view_locked_bytes(), locked);
    fill_arena(arena, 64, 2);
    free_all();
    securemem_arena_destroy(arena);
}

static void more_than_the_machine_has_is_refused_before_any_of_it_is_locked(void **state)
{
    (void)state;
    size_t locked = view_locked_bytes();
    securemem_arena *arena = arena_of((securemem_arena_options){0});
    assert_int_equal(securemem_arena_reserve(arena, SIZE_MAX), -ENOMEM);
    assert_non_null(strstr(securemem_last_error()->message, "machine"));
    assert_int_equal(view_locked_bytes(), locked);
    securemem_arena_destroy(arena);
}

/* All of it, not the page at which it ended; and what was in use before. */
static void names_all_that_is_missing(size_t needed, size_t limit)
{
    char figure[32];
    (void)snprintf(figure, sizeof figure, " %zu bytes are needed", needed);
    const securemem_error *error = securemem_last_error();
    NEED(strstr(error->message, figure) != NULL);
    NEED(error->needed == needed && error->limit == limit && error->in_use == 0);
}

static int reserve_beyond_the_limit(void *unused)
{
    (void)unused;
    size_t page = view_page_size();
    if (!child_become_ordinary(64 * page))
        return SKIP_EXIT;
    for (int packed = 0; packed < 2; packed++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED});
        NEED(securemem_arena_reserve(arena, 500 * page) == -ENOMEM);
        names_all_that_is_missing(500 * page, 64 * page);
        NEED(view_locked_bytes() == 0);
        securemem_arena_destroy(arena);
    }
    return 0;
}

static void a_reservation_beyond_the_limit_is_refused_as_a_whole(void **state)
{
    (void)state;
    CHILD_PASSES(reserve_beyond_the_limit, NULL);
}

static void a_reservation_is_locked_and_serves_when_the_limit_does_not(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (int packed = 0; packed < 2; packed++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
            .budget = 20 * page});
        size_t locked = view_locked_bytes();
        assert_int_equal(securemem_arena_reserve(arena, 30 * page), -ENOMEM);
        names_all_that_is_missing(30 * page, 20 * page);
        assert_int_equal(view_locked_bytes(), locked);
        assert_int_equal(securemem_arena_reserve(arena, 12 * page), 0);
        assert_true(view_locked_bytes() - locked >= 12 * page);
        assert_true(securemem_arena_remaining(arena) >= 12 * page);
        locked = view_locked_bytes();
        for (int i = 0; i < 12; i++)
            assert_non_null(securemem_arena_alloc(arena, packed ? 2000 : page));
        assert_int_equal(view_locked_bytes(), locked);
        securemem_arena_destroy(arena);
    }
}

static void what_is_reserved_stays_idle_whatever_is_freed(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (int packed = 0; packed < 2; packed++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
            .lock = SECUREMEM_REQUIRED});
        assert_int_equal(securemem_arena_reserve(arena, 4 * page), 0);
        size_t locked = view_locked_bytes();
        for (int i = 0; i < 20; i++) {
            securemem_free(securemem_arena_alloc(arena, packed ? 2000 : page));
            assert_int_equal(view_locked_bytes(), locked);
        }
        securemem_arena_destroy(arena);
    }
}

static size_t low_calls, low_remaining;

static void on_low(securemem_arena *arena, size_t remaining, void *user)
{
    low_calls++;
    low_remaining = remaining;
    assert_ptr_equal(user, &low_calls);
    assert_int_equal(securemem_arena_remaining(arena), remaining); /* no lock is held */
}

#define STRIDE 112U /* of secrets of 100 bytes: their canaries make it so much */

static void the_program_is_told_once_when_little_is_left(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (size_t low = 1; low <= 16; low *= 2) {
        securemem_arena *arena = arena_of(
            (securemem_arena_options){PACKED, .budget = 16 * page, .low = low * page,
                                      .on_low = on_low, .user = &low_calls});
        low_calls = 0;
        size_t given = 0, given_then = 0;
        for (; securemem_arena_alloc(arena, 100) != NULL; given++)
            if (low_calls == 0)
                given_then = given + 1;
        assert_int_equal(errno, ENOMEM);
        assert_non_null(strstr(securemem_last_error()->message, "budget"));
        assert_int_equal(low_calls, 2); /* and when it was refused */
        assert_int_equal(low_remaining, 0);
        /* What was said to remain was handed out, and a page and a thread's cache. */
        size_t pages = low < 16 ? low : 15, of_a_page = page / STRIDE;
        assert_int_equal(given, 16 * of_a_page);
        assert_in_range(given - given_then, pages * of_a_page, (pages + 2) * of_a_page);
        securemem_arena_destroy(arena);
    }
}

/* Who frees a few when it is told, and goes on, is told whenever there are none again. */
static void *ones_to_free[8];

static void free_them(securemem_arena *arena, size_t remaining, void *user)
{
    (void)user;
    assert_true(remaining <= 4 * view_page_size());
    low_calls++;
    void *refused = low_calls == 1 ? NULL : securemem_arena_alloc(arena, 100);
    assert_null(refused); /* and is not told by another call */
    for (size_t i = 0; i < COUNT(ones_to_free); i++) {
        securemem_free(ones_to_free[i]);
        ones_to_free[i] = NULL;
    }
}

static void it_is_told_whenever_it_is_refused(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_arena *arena = arena_of((securemem_arena_options){
        PACKED, .budget = 16 * page, .low = 4 * page, .on_low = free_them});
    low_calls = 0;
    for (size_t round = 2; round < 20; round++) {
        for (size_t i = 0; low_calls < round; i++) {
            void *secret = securemem_arena_alloc(arena, 100);
            if (secret != NULL)
                ones_to_free[i % COUNT(ones_to_free)] = secret;
        }
        assert_int_equal(low_calls, round);
    }
    securemem_arena_destroy(arena);
}

static void on_low_only(securemem_arena *arena, size_t remaining, void *user)
{
    (void)arena;
    (void)remaining;
    (void)user;
    low_calls++;
    NEED(securemem_alloc_aligned(1, 3) == NULL); /* a refusal of its own */
}

static void it_is_told_again_once_more_remained(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_arena *arena =
        arena_of((securemem_arena_options){.budget = 5 * page,
                                           .low = 2 * page,
                                           .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                           .on_low = on_low_only});
    char *three[3];
    low_calls = 0;
    for (size_t i = 0; i < 3; i++)
        assert_non_null(three[i] = securemem_arena_alloc(arena, 100));
    assert_int_equal(low_calls, 1);
    for (size_t round = 2; round <= 4; round++) {
        securemem_free(three[0]); /* three pages remain */
        assert_non_null(three[0] = securemem_arena_alloc(arena, 100));
        assert_int_equal(low_calls, round);
    }
    assert_non_null(securemem_arena_alloc(arena, 100));
    assert_int_equal(low_calls, 4);
    securemem_arena_destroy(arena);
}

static void destroy_it(securemem_arena *arena, size_t remaining, void *user)
{
    (void)remaining;
    (void)user;
    low_calls++;
    securemem_arena_destroy(arena);
}

static void the_callback_may_destroy_the_arena(void **state)
{
    (void)state;
    for (int placement = SECUREMEM_GUARDED; placement <= SECUREMEM_PACKED; placement++) {
        size_t page = view_page_size(), locked = view_locked_bytes();
        securemem_arena *arena = arena_of(
            (securemem_arena_options){.placement = (securemem_placement)placement,
                                      .budget = 4 * page,
                                      .low = 4 * page,
                                      .on_low = destroy_it});
        low_calls = 0;
        (void)!securemem_arena_alloc(arena, 100); /* not one to use */
        assert_int_equal(low_calls, 1);
        assert_int_equal(view_locked_bytes(), locked);
    }
}

static void it_is_told_of_what_moves_and_of_copies(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_arena *arena =
        arena_of((securemem_arena_options){.budget = 10 * page,
                                           .low = 4 * page,
                                           .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                           .on_low = on_low_only});
    low_calls = 0;
    char *secret = securemem_arena_alloc(arena, 100);
    secret = securemem_realloc(secret, 7 * page);
    assert_non_null(secret);
    assert_int_equal(low_calls, 1);
    assert_null(securemem_realloc(secret, 20 * page));
    assert_non_null(strstr(securemem_last_error()->message, "budget"));
    assert_int_equal(low_calls, 2); /* it is low still, and refused */
    secret = securemem_realloc(secret, page);
    assert_non_null(secret);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(securemem_dup(secret));
    assert_int_equal(low_calls, 3);
    securemem_arena_destroy(arena);
}

/* The limit is taken by others: the first allocation that meets it is refused. */
static int meet_a_limit(void *unused)
{
    (void)unused;
    size_t page = view_page_size();
    if (!child_become_ordinary(16 * page))
        return SKIP_EXIT;
    securemem_arena *arena =
        arena_of((securemem_arena_options){.low = 4 * page,
                                           .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                           .on_low = on_low_only});
    low_calls = 0;
    NEED(securemem_arena_alloc(arena, 100) != NULL && low_calls == 0);
    while (securemem_alloc(100) != NULL)
        continue;
    NEED(low_calls == 0);
    for (size_t i = 0; i < 3; i++) {
        NEED(securemem_arena_alloc(arena, 100) == NULL && errno == ENOMEM);
        NEED(strstr(securemem_last_error()->message, "MEMLOCK") != NULL);
        NEED(low_calls == i + 1);
    }
    return 0;
}

static void it_is_told_where_the_limit_is_taken_by_others(void **state)
{
    (void)state;
    CHILD_PASSES(meet_a_limit, NULL);
}

static void *fill_and_end(void *argument)
{
    for (int i = 0; i < 100; i++) {
        char *secret = securemem_arena_alloc(argument, 32);
        NEED(secret != NULL);
        memset(secret, 1, 32);
        securemem_free(secret);
    }
    return NULL;
}

static void what_a_thread_kept_goes_back_when_it_ends(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
            .idle = 64 * view_page_size()});
        size_t locked = view_locked_bytes();
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, fill_and_end, arena), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(securemem_arena_trim(arena), 0);
        assert_int_equal(view_locked_bytes(), locked);
        securemem_arena_destroy(arena);
    }
}

static int child_uses_packed(void *argument)
{
    const securemem_arena_options *options = argument;
    securemem_arena *arena = securemem_arena_create(options);
    char *inherited[200];
    for (size_t i = 0; i < COUNT(inherited); i++) {
        inherited[i] = securemem_arena_alloc(arena, 32);
        NEED(inherited[i] != NULL);
        memset(inherited[i], 0x6b, 32);
    }
    securemem_free(inherited[0]); /* the thread's cache is not empty */
    pid_t pid = fork();
    if (pid == 0) {
        bool mapped = options->fork != SECUREMEM_FORK_DROP;
        unsigned char fill = options->fork == SECUREMEM_FORK_KEEP ? 0x6b : 0;
        for (size_t i = 1; i < COUNT(inherited); i++) {
            securemem_protection report;
            NEED(securemem_protection(inherited[i], &report) == 0);
            NEED(report.inheritance != SECUREMEM_NATIVE);
            NEED(report.lock.holds == mapped && report.guards.holds == mapped);
            NEED(view_readable(inherited[i]) == mapped);
            NEED(!mapped || all_bytes_are(inherited[i], 32, fill));
        }
        for (int i = 0; i < 500; i++) {
            char *own = securemem_arena_alloc(arena, 32);
            NEED(own != NULL && all_bytes_are(own, 32, 0));
            memset(own, 1, 32);
            securemem_protection report;
            NEED(securemem_protection(own, &report) == 0);
            NEED(report.inheritance == SECUREMEM_NATIVE && report.lock.holds);
            for (size_t k = 1; k < COUNT(inherited); k++)
                NEED(own != inherited[k]);
        }
        NEED(!mapped || securemem_arena_check(arena) == 0);
        for (size_t i = 1; i < COUNT(inherited); i++)
            securemem_free(inherited[i]); /* a canary that is not known would abort */
        securemem_arena_destroy(arena);
        NEED(view_locked_bytes() == 0);
        _exit(0);
    }
    int status;
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
    for (size_t i = 1; i < COUNT(inherited); i++)
        NEED(all_bytes_are(inherited[i], 32, 0x6b));
    securemem_arena_destroy(arena);
    return 0;
}

static void a_child_has_what_the_policy_says(void **state)
{
    (void)state;
    for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++)
        for (int canaries = 0; canaries < 2; canaries++) {
            securemem_arena_options options = {PACKED, .fork = (securemem_fork)fork,
                                               .canaries = canaries ? SECUREMEM_REQUIRED
                                                                    : SECUREMEM_OFF};
            CHILD_PASSES(child_uses_packed, &options);
        }
}

static void wiping_all_leaves_the_canaries(void **state)
{
    (void)state;
    securemem_arena *arena = arena_of((securemem_arena_options){PACKED});
    fill_arena(arena, 32, 4);
    assert_int_equal(securemem_wipe_all(), 0);
    for (size_t i = 0; i < MANY; i++)
        assert_true(all_bytes_are(secrets[i], 32, 0));
    assert_int_equal(securemem_arena_check(arena), 0);
    free_all();
    securemem_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_do_not_overlap_and_many_share_a_locked_page),
        cmocka_unit_test(the_order_of_secrets_is_not_that_of_addresses),
        cmocka_unit_test(the_report_is_what_the_kernel_says),
        cmocka_unit_test(large_and_aligned_ones_are_where_they_fit),
        cmocka_unit_test(a_packed_secret_has_no_access_of_its_own),
        cmocka_unit_test(an_overflow_is_found_by_check_free_and_destroy),
        cmocka_unit_test(each_byte_of_a_canary_is_compared),
        cmocka_unit_test(
            a_secret_that_shrinks_where_it_is_leaves_nothing_and_hides_nothing),
        cmocka_unit_test(a_terminator_is_found_after_everything_was_wiped),
        cmocka_unit_test(a_write_before_a_secret_is_found_by_its_neighbour),
        cmocka_unit_test(wrong_frees_are_told_apart),
        cmocka_unit_test(no_byte_of_a_freed_secret_is_left),
        cmocka_unit_test(realloc_within_a_class_stays_and_wipes_what_it_leaves),
        cmocka_unit_test(trim_gives_back_what_is_idle_and_what_threads_kept),
        cmocka_unit_test(more_than_the_machine_has_is_refused_before_any_of_it_is_locked),
        cmocka_unit_test(a_reservation_beyond_the_limit_is_refused_as_a_whole),
        cmocka_unit_test(what_is_reserved_stays_idle_whatever_is_freed),
        cmocka_unit_test(a_reservation_is_locked_and_serves_when_the_limit_does_not),
        cmocka_unit_test(the_program_is_told_once_when_little_is_left),
        cmocka_unit_test(it_is_told_whenever_it_is_refused),
        cmocka_unit_test(it_is_told_again_once_more_remained),
        cmocka_unit_test(it_is_told_where_the_limit_is_taken_by_others),
        cmocka_unit_test(the_callback_may_destroy_the_arena),
        cmocka_unit_test(it_is_told_of_what_moves_and_of_copies),
        cmocka_unit_test(what_a_thread_kept_goes_back_when_it_ends),
        cmocka_unit_test(a_child_has_what_the_policy_says),
        cmocka_unit_test(wiping_all_leaves_the_canaries),
    };
    return RUN_GROUP(tests);
}
