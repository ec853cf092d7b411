/* SPDX-License-Identifier: ISC */
/*
 * Packed arenas in a forked child, and in its child: which places are free there, what the
 * budget has left, and what is told of secrets that are older than the process.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "support/keys.h"
#include "unit/unit.h"

#define PACKED .placement = SECUREMEM_PACKED
#define OLD    10
#define NEW    300
#define PLACES 64

static securemem_arena *arena;
static char *old[OLD];
static int told; /* of misuse, the last kind; 0: none */

static void tell(const securemem_misuse *misuse, void *user)
{
    (void)user;
    told = (int)misuse->kind;
}

static int write_to_one(void *unused)
{
    (void)unused;
    char *secret = securemem_arena_alloc(arena, 32);
    NEED(secret != NULL && all_bytes_are(secret, 32, 0));
    memset(secret, 1, 32);
    securemem_free(secret);
    return 0;
}

static void a_child_gets_memory_of_its_own_where_all_was_dropped(void **state)
{
    (void)state;
    arena = arena_of((securemem_arena_options){PACKED, .lock = SECUREMEM_OFF,
                                               .fork = SECUREMEM_FORK_DROP});
    assert_non_null(securemem_arena_alloc(arena, 32));
    CHILD_PASSES(write_to_one, NULL);
    securemem_arena_destroy(arena);
}

static int check_what_is_gone(void *secret)
{
    NEED(securemem_arena_check(arena) == 0 && securemem_arena_trim(arena) == 0);
    securemem_free(secret);
    NEED(securemem_arena_check(arena) == 0 && securemem_arena_trim(arena) == 0);
    NEED(write_to_one(NULL) == 0 && securemem_arena_trim(arena) == 0);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void a_child_may_check_and_trim_what_was_dropped(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
            .fork = SECUREMEM_FORK_DROP,
            .idle = SIZE_MAX});
        char *secret = securemem_arena_alloc(arena, 32);
        securemem_free(securemem_arena_alloc(arena, 32));
        securemem_free(securemem_arena_alloc(arena, 3 * view_page_size()));
        CHILD_PASSES(check_what_is_gone, secret);
        securemem_arena_destroy(arena);
    }
}

/* What the parent's threads had cached is free here, once. */
static int fill_and_empty(void *unused)
{
    (void)unused;
    static char *secrets[NEW];
    for (size_t i = 0; i < NEW; i++) {
        NEED((secrets[i] = securemem_arena_alloc(arena, 32)) != NULL);
        memset(secrets[i], (int)(i % 251 + 1), 32);
    }
    for (size_t i = 0; i < NEW; i += 2)
        securemem_free(secrets[i]);
    NEED(securemem_arena_trim(arena) == 0);
    for (size_t i = 1; i < NEW; i += 2)
        NEED(all_bytes_are(secrets[i], 32, (unsigned char)(i % 251 + 1)));
    for (size_t i = 1; i < NEW; i += 2)
        securemem_free(secrets[i]);
    for (size_t i = 0; i < OLD; i++)
        securemem_free(old[i]);
    NEED(securemem_arena_trim(arena) == 0);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static int fork_again(void *unused)
{
    bool skips = child_skips(fill_and_empty, unused);
    NEED(!skips);
    return fill_and_empty(unused);
}

static void in_a_childs_child_each_place_is_free_once(void **state)
{
    (void)state;
    arena = arena_of((securemem_arena_options){PACKED});
    for (size_t i = 0; i < OLD; i++)
        assert_non_null(old[i] = securemem_arena_alloc(arena, 32));
    CHILD_PASSES(fork_again, NULL);
    securemem_arena_destroy(arena);
}

static int need_to_get(void *count)
{
    size_t got = 0;
    while (securemem_arena_alloc(arena, 32) != NULL)
        got++;
    NEED(got == *(size_t *)count);
    return 0;
}

static void a_child_gets_the_rest_of_a_page_and_no_more_than_the_budget(void **state)
{
    (void)state;
    size_t page = view_page_size(), left = page / 48;
    arena = arena_of((securemem_arena_options){PACKED, .budget = page});
    for (; left > 15; left--)
        assert_non_null(securemem_arena_alloc(arena, 32));
    CHILD_PASSES(need_to_get, &left);
    securemem_arena_destroy(arena);
    arena = arena_of((securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                               .budget = 8 * page});
    for (left = 8; left > 4; left--)
        assert_non_null(securemem_arena_alloc(arena, 32));
    CHILD_PASSES(need_to_get, &left);
    securemem_arena_destroy(arena);
}

static int need_to_remain(void *bytes)
{
    NEED(securemem_arena_remaining(arena) == *(size_t *)bytes);
    return 0;
}

static void as_much_remains_in_a_child(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (int packed = 0; packed < 2; packed++) {
        arena = arena_of((securemem_arena_options){
            .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
            .budget = 128 * page,
            .idle = 64 * page});
        char *larger = securemem_arena_alloc(arena, 3 * page);
        assert_non_null(securemem_arena_alloc(arena, 32));
        securemem_free(larger);
        size_t remains = securemem_arena_remaining(arena);
        CHILD_PASSES(need_to_remain, &remains);
        securemem_arena_destroy(arena);
    }
}

static int free_overflown(void *secret)
{
    told = 0;
    securemem_free(secret);
    NEED(told == SECUREMEM_MISUSE_CANARY);
    return 0;
}

static int overflow_inherited(void *secret)
{
    ((char *)secret)[32] ^= 2;
    told = 0;
    NEED(securemem_arena_check(arena) == -EBADMSG && told == SECUREMEM_MISUSE_CANARY);
    return 0;
}

static int resize_inherited(void *secret)
{
    securemem_protection says;
    NEED((secret = securemem_realloc(secret, 30)) != NULL);
    NEED(securemem_protection(secret, &says) == 0);
    NEED(says.inheritance != SECUREMEM_NATIVE);
    return 0;
}

static void an_inherited_secret_is_told_of_as_what_it_is(void **state)
{
    (void)state;
    arena = arena_of((securemem_arena_options){PACKED});
    char *secret = securemem_arena_alloc(arena, 32);
    assert_non_null(secret);
    CHILD_PASSES(overflow_inherited, secret);
    CHILD_PASSES(resize_inherited, secret);
    securemem_arena_destroy(arena);
    arena = arena_of((securemem_arena_options){PACKED, .fork = SECUREMEM_FORK_KEEP});
    secret = securemem_arena_alloc(arena, 32);
    secret[32] ^= 2; /* before the fork */
    CHILD_PASSES(free_overflown, secret);
    secret[32] ^= 2;
    securemem_arena_destroy(arena);
}

static int move_aligned(void *secrets)
{
    for (size_t i = 0; i < OLD; i++) {
        char *moved = securemem_realloc(((char **)secrets)[i], 300);
        NEED(moved != NULL && (uintptr_t)moved % 64 == 0);
    }
    return 0;
}

static void an_alignment_lasts_in_a_child(void **state)
{
    (void)state;
    arena = arena_of((securemem_arena_options){PACKED});
    for (size_t i = 0; i < OLD; i++)
        assert_non_null(old[i] = securemem_arena_alloc_aligned(arena, 56, 64));
    CHILD_PASSES(move_aligned, old);
    securemem_arena_destroy(arena);
}

static int use_behind_the_door(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) {
        char *secret = securemem_arena_alloc(arena, 32);
        NEED(secret != NULL);
        securemem_free(secret);
    }
    return 0;
}

/* Its thread's caches, all in use, are of no arena there: one behind a door gets none. */
static void no_cache_of_a_childs_becomes_that_of_a_closed_arena(void **state)
{
    (void)state;
    if (!keys_exist())
        SKIP("this processor, or kernel, has no protection keys");
    securemem_arena *others[8];
    arena =
        arena_of((securemem_arena_options){PACKED, .protection_key = SECUREMEM_REQUIRED});
    for (size_t i = 0; i < COUNT(others); i++) {
        others[i] = arena_of((securemem_arena_options){PACKED});
        for (int k = 0; k < 3; k++)
            securemem_free(securemem_arena_alloc(others[i], 32));
    }
    CHILD_PASSES(use_behind_the_door, NULL);
    for (size_t i = 0; i < COUNT(others); i++)
        securemem_arena_destroy(others[i]);
    securemem_arena_destroy(arena);
}

/* A thread fills secrets and frees them, at places that it notes. */
static char *places[PLACES];
static atomic_size_t place_count;
static atomic_bool over;

static void note_place(char *secret)
{
    size_t count = atomic_load(&place_count);
    for (size_t i = 0; i < count; i++)
        if (places[i] == secret)
            return;
    if (count < PLACES) {
        places[count] = secret;
        atomic_store(&place_count, count + 1);
    }
}

static void *fill_and_free(void *unused)
{
    while (!atomic_load(&over)) {
        char *secret = securemem_arena_alloc(arena, 2000);
        if (secret == NULL)
            continue;
        note_place(secret);
        memset(secret, 0xab, 2000);
        __asm__ volatile("" : : "r"(secret) : "memory");
        securemem_free(secret);
    }
    return unused;
}

static int find_nothing_freed(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < atomic_load(&place_count); i++) {
        int ends[2];
        char bytes[2000];
        if (securemem_size(places[i]) != 0)
            continue;          /* it was live at the fork */
        NEED(pipe(ends) == 0); /* a page may be gone */
        if (write(ends[1], places[i], sizeof bytes) == (ssize_t)sizeof bytes) {
            NEED(read(ends[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes);
            NEED(memchr(bytes, 0xab, sizeof bytes) == NULL);
        }
        close(ends[0]);
        close(ends[1]);
    }
    return 0;
}

static void a_child_has_nothing_of_a_secret_that_is_being_freed(void **state)
{
    (void)state;
    arena = arena_of((securemem_arena_options){PACKED, .fork = SECUREMEM_FORK_KEEP});
    pthread_t thread;
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, fill_and_free, NULL), 0);
    for (size_t i = 0, forks = paced(300); i < forks; i++)
        CHILD_PASSES(find_nothing_freed, NULL);
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    securemem_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_gets_memory_of_its_own_where_all_was_dropped),
        cmocka_unit_test(a_child_may_check_and_trim_what_was_dropped),
        cmocka_unit_test(in_a_childs_child_each_place_is_free_once),
        cmocka_unit_test(a_child_gets_the_rest_of_a_page_and_no_more_than_the_budget),
        cmocka_unit_test(as_much_remains_in_a_child),
        cmocka_unit_test(an_inherited_secret_is_told_of_as_what_it_is),
        cmocka_unit_test(an_alignment_lasts_in_a_child),
        cmocka_unit_test(no_cache_of_a_childs_becomes_that_of_a_closed_arena),
        cmocka_unit_test(a_child_has_nothing_of_a_secret_that_is_being_freed),
    };
    securemem_set_misuse_handler(tell, NULL);
    return RUN_GROUP(tests);
}
