/* SPDX-License-Identifier: ISC */
/* Comparing and wiping: securemem_equal, securemem_wipe, securemem_wipe_all. */
#include <errno.h>
#include <sys/resource.h>

#include "unit/unit.h"
#include <signal.h>
#include <sys/time.h>

static void equal_says_both_ways_what_is_equal(void **state)
{
    (void)state;
    unsigned char a[100], b[100];
    memset(a, 3, sizeof a);
    memset(b, 3, sizeof b);
    assert_int_equal(securemem_equal(a, b, sizeof a), 1);
    assert_int_equal(securemem_equal(a, a, sizeof a), 1);
    assert_int_equal(securemem_equal(a, b, 0), 1);
    for (size_t i = 0; i < sizeof b; i++)
        for (unsigned bit = 1; bit < 256; bit *= 2) {
            b[i] ^= (unsigned char)bit;
            assert_int_equal(securemem_equal(a, b, sizeof a), 0);
            assert_int_equal(securemem_equal(b, a, sizeof a), 0);
            assert_int_equal(securemem_equal(a, b, i), 1);
            b[i] ^= (unsigned char)bit;
        }
}

static void wipe_fills_with_zeros_and_touches_nothing_else(void **state)
{
    (void)state;
    unsigned char bytes[64];
    memset(bytes, 0xee, sizeof bytes);
    securemem_wipe(bytes + 8, 0);
    assert_true(all_bytes_are(bytes, sizeof bytes, 0xee));
    securemem_wipe(bytes + 8, 48);
    assert_true(all_bytes_are(bytes, 8, 0xee));
    assert_true(all_bytes_are(bytes + 8, 48, 0));
    assert_true(all_bytes_are(bytes + 56, 8, 0xee));
}

static void a_wiped_secret_is_still_allocated(void **state)
{
    (void)state;
    char *secret = securemem_alloc(50);
    assert_non_null(secret);
    memset(secret, 1, 50);
    securemem_wipe(secret, 50);
    assert_true(all_bytes_are(secret, 50, 0));
    assert_int_equal(securemem_size(secret), 50);
    securemem_free(secret);
}

struct sample {
    char *secret;
    size_t size;
    int access;
};

static size_t make_samples(struct sample *samples, size_t room)
{
    const size_t sizes[] = {0, 1, 33, view_page_size(), 2 * view_page_size() + 9};
    securemem_guard_kind kinds[2];
    size_t kind_count = guard_kinds(kinds), count = 0;
    for (size_t k = 0; k <= kind_count; k++) {
        securemem_arena_options options = {0};
        if (k < kind_count)
            options.guard_kind = kinds[k];
        else
            options.guards = SECUREMEM_OFF;
        securemem_arena *arena = arena_of(options);
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++) {
                assert_true(count < room);
                struct sample *s = &samples[count++];
                *s = (struct sample){securemem_arena_alloc(arena, sizes[i]), sizes[i],
                                     access};
                assert_non_null(s->secret);
                if (s->size > 0)
                    memset(s->secret, 0x77, s->size);
                assert_int_equal(
                    securemem_set_access(s->secret, (securemem_access)access), 0);
            }
    }
    return count;
}

/* The arenas live on with the process; their number is small. */
static void wipe_all_leaves_zeros_access_and_canaries_in_place(void **state)
{
    (void)state;
    static const char *const permissions[] = {"---p", "r--p", "rw-p"};
    static struct sample samples[64];
    size_t count = make_samples(samples, COUNT(samples));
    size_t locked = view_locked_bytes();

    errno = 4321;
    assert_int_equal(securemem_wipe_all(), 0);
    assert_int_equal(errno, 4321);

    assert_int_equal(view_locked_bytes(), locked);
    for (size_t i = 0; i < count; i++) {
        const struct sample *s = &samples[i];
        assert_true(permissions_are(s->secret - (s->size == 0), permissions[s->access]));
        assert_int_equal(securemem_size(s->secret), s->size);
        assert_int_equal(securemem_open(s->secret, SECUREMEM_WRITE), 0);
        assert_true(all_bytes_are(s->secret, s->size, 0));
        if (s->size > 0)
            memset(s->secret, 1, s->size); /* the program goes on */
        assert_int_equal(securemem_close(s->secret), 0);
    }
    for (size_t i = 0; i < count; i++)
        securemem_free(samples[i].secret); /* a broken canary would abort */
}

static void wipe_all_reaches_secrets_with_open_scopes(void **state)
{
    (void)state;
    char *secret = securemem_alloc(20);
    assert_non_null(secret);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
    assert_int_equal(securemem_open(secret, SECUREMEM_WRITE), 0);
    memset(secret, 5, 20);
    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_int_equal(securemem_wipe_all(), 0);
    assert_true(permissions_are(secret, "rw-p"));
    assert_true(all_bytes_are(secret, 20, 0));
    assert_int_equal(securemem_close(secret), 0);
    assert_int_equal(securemem_close(secret), 0);
    assert_true(permissions_are(secret, "---p"));
    securemem_free(secret);
}

/* Without a descriptor to spare there is no /dev/zero to read from. */
static void wipe_all_works_without_a_free_descriptor(void **state)
{
    (void)state;
    char *secret = securemem_alloc(20);
    assert_non_null(secret);
    memset(secret, 5, 20);
    size_t before = view_descriptors();
    assert_int_equal(securemem_wipe_all(), 0);
    assert_int_equal(view_descriptors(), before);
    assert_true(all_bytes_are(secret, 20, 0));

    memset(secret, 5, 20);
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    size_t failed = securemem_wipe_all();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(failed, 0);
    assert_true(all_bytes_are(secret, 20, 0));
    securemem_free(secret);
}

#define PLACES 64
#define FILLED 2000 /* bytes of each, two to a page */

/* Places of packed secrets, and how often one was found filled behind a wipe. */
static char *places[PLACES];
static size_t place_count;
static volatile sig_atomic_t wipes, filled;

static void note_place(char *secret)
{
    for (size_t i = 0; i < place_count; i++)
        if (places[i] == secret)
            return;
    if (place_count < PLACES)
        places[place_count++] = secret;
}

static void wipe_and_look(int signal)
{
    (void)signal;
    int before = errno;
    (void)securemem_wipe_all();
    for (size_t i = 0; i < place_count; i++)
        if (memchr(places[i], 0xab, FILLED) != NULL)
            filled++;
    wipes++;
    errno = before;
}

static void fill_one(securemem_arena *arena)
{
    char *secret = securemem_arena_alloc(arena, FILLED);
    assert_non_null(secret);
    memset(secret, 0xab, FILLED);
    __asm__ volatile("" : : "r"(secret) : "memory");
    securemem_free(secret);
}

/* A signal comes wherever it may: also between a secret's end and its wipe. */
static void what_is_just_being_freed_is_wiped_too(void **state)
{
    (void)state;
    const struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    securemem_arena *arena = arena_of(
        (securemem_arena_options){.placement = SECUREMEM_PACKED, .idle = SIZE_MAX});
    for (size_t i = 0; i < PLACES; i++) {
        char *secret = securemem_arena_alloc(arena, FILLED);
        assert_non_null(secret);
        note_place(secret);
        securemem_free(secret);
    }
    assert_true(signal(SIGALRM, wipe_and_look) != SIG_ERR);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    sig_atomic_t enough = (sig_atomic_t)paced(1000);
    for (size_t i = 0; i < 1000000 && wipes < enough; i++)
        fill_one(arena);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_true(signal(SIGALRM, SIG_DFL) != SIG_ERR);
    assert_true(wipes > 0);
    assert_int_equal(filled, 0);
    securemem_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_says_both_ways_what_is_equal),
        cmocka_unit_test(wipe_fills_with_zeros_and_touches_nothing_else),
        cmocka_unit_test(a_wiped_secret_is_still_allocated),
        cmocka_unit_test(wipe_all_leaves_zeros_access_and_canaries_in_place),
        cmocka_unit_test(wipe_all_reaches_secrets_with_open_scopes),
        cmocka_unit_test(wipe_all_works_without_a_free_descriptor),
        cmocka_unit_test(what_is_just_being_freed_is_wiped_too),
    };
    return RUN_GROUP(tests);
}
