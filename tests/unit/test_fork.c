/* SPDX-License-Identifier: ISC */
/* What a forked child has: contents, locks, guards, and a report that says so. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "unit/truth.h"

#define SECRETS 3

/* Secrets of one arena, resting at each access, as the parent leaves them. */
struct family {
    securemem_arena_options options;
    securemem_arena *arena;
    char *secrets[SECRETS];
    char *freed; /* its pages are idle, or closed */
    size_t size;
};

static struct family family_of(securemem_fork fork, securemem_guard_kind kind,
                               size_t idle)
{
    struct family f = {.options = {.fork = fork, .guard_kind = kind, .idle = idle},
                       .size = view_page_size() + 100};
    f.arena = arena_of(f.options);
    for (int i = 0; i < SECRETS; i++) {
        f.secrets[i] = securemem_arena_alloc(f.arena, f.size);
        assert_non_null(f.secrets[i]);
        memset(f.secrets[i], 0x81, f.size);
        assert_int_equal(securemem_set_access(f.secrets[i], (securemem_access)i), 0);
    }
    return f;
}

static const securemem_inheritance inheritances[] = {
    [SECUREMEM_FORK_WIPE] = SECUREMEM_WIPED,
    [SECUREMEM_FORK_DROP] = SECUREMEM_DROPPED,
    [SECUREMEM_FORK_KEEP] = SECUREMEM_KEPT,
};

/* Inherited with pages: zeros or contents, locked and guarded as in the parent. */
static int check_mapped(struct family *f, char *secret, securemem_access rest)
{
    securemem_protection report;
    struct view view;
    unsigned char fill = f->options.fork == SECUREMEM_FORK_KEEP ? 0x81 : 0;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.inheritance == inheritances[f->options.fork]);
    NEED(report.resting_access == rest && report.access == rest);
    NEED(report.lock.holds == 1 && report.lock.refused == 0);
    NEED(report.guards.holds == 1 && report.guards.refused == 0);
    NEED(view_at(secret, &view) && view_has(&view, "lo"));
    NEED(!view_readable(first_page(secret, f->size) - 1));
    NEED(!view_readable(guard_behind(secret, f->size)));
    NEED(report_is_true(secret, f->size) == 0);
    NEED(securemem_open(secret, SECUREMEM_WRITE) == 0);
    NEED(all_bytes_are(secret, f->size, fill));
    memset(secret, 0x24, f->size);
    NEED(securemem_close(secret) == 0);
    return 0;
}

static int check_dropped(char *secret)
{
    securemem_protection report;
    NEED(!view_readable(secret));
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.inheritance == SECUREMEM_DROPPED);
    NEED(!report.lock.holds && !report.guards.holds && !report.no_dump.holds);
    NEED(report.access == SECUREMEM_NONE);
    NEED(securemem_open(secret, SECUREMEM_READ) == -EINVAL);
    NEED(strstr(securemem_last_error()->message, "inherited") != NULL);
    NEED(securemem_dup(secret) == NULL && errno == EINVAL);
    NEED(securemem_realloc(secret, 8) == NULL && errno == EINVAL);
    return 0;
}

static int check_new(securemem_arena *arena, size_t size)
{
    char *secret = securemem_arena_alloc(arena, size);
    NEED(secret != NULL);
    NEED(all_bytes_are(secret, size, 0));
    memset(secret, 0x55, size);
    securemem_protection report;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.inheritance == SECUREMEM_NATIVE);
    NEED(report.lock.holds && report.guards.holds && report.fork_safety.holds);
    NEED(report_is_true(secret, size) == 0);
    securemem_free(secret);
    return 0;
}

static int charges_are_true(void)
{
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    NEED(budget.charged == view_locked_bytes());
    return 0;
}

static int child_uses_family(void *argument)
{
    struct family *f = argument;
    NEED(charges_are_true() == 0);
    NEED(f->options.idle != 0 || !view_readable(f->freed));
    for (int i = 0; i < SECRETS; i++) {
        if (f->options.fork == SECUREMEM_FORK_DROP)
            NEED(check_dropped(f->secrets[i]) == 0);
        else
            NEED(check_mapped(f, f->secrets[i], (securemem_access)i) == 0);
    }
    NEED(check_new(f->arena, f->size) == 0);
    NEED(check_new(f->arena, 10) == 0);
    NEED(charges_are_true() == 0);
    for (int i = 0; i < SECRETS - 1; i++)
        securemem_free(f->secrets[i]); /* a canary that is not known would abort */
    NEED(check_new(f->arena, f->size) == 0);
    NEED(charges_are_true() == 0);
    securemem_arena_destroy(f->arena);
    NEED(view_locked_bytes() == 0);
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    NEED(budget.charged == 0 && budget.secrets == 0);
    return 0;
}

static void for_each_family(int (*body)(void *))
{
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++)
        for (size_t k = 0; k < count; k++)
            for (int idle = 0; idle < 2; idle++) {
                struct family f =
                    family_of((securemem_fork)fork, kinds[k], idle ? SIZE_MAX : 0);
                f.freed = securemem_arena_alloc(f.arena, f.size);
                assert_non_null(f.freed);
                assert_true(view_readable(f.freed));
                securemem_free(f.freed);
                size_t locked = view_locked_bytes();
                assert_false(child_skips(body, &f));
                /* Nothing that the child did is seen here. */
                assert_int_equal(view_locked_bytes(), locked);
                assert_true(all_bytes_are(f.secrets[2], f.size, 0x81));
                assert_int_equal(report_is_true(f.secrets[2], f.size), 0);
                securemem_arena_destroy(f.arena);
            }
}

static void a_child_has_what_the_policy_says_and_may_call_everything(void **state)
{
    (void)state;
    for_each_family(child_uses_family);
}

static int grandchild(void *argument)
{
    return child_uses_family(argument);
}

static int child_with_child(void *argument)
{
    struct family *f = argument;
    char *own = securemem_arena_alloc(f->arena, f->size);
    NEED(own != NULL);
    memset(own, 1, f->size);
    securemem_free(own);
    struct child_end end;
    child_run(grandchild, f, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    NEED(charges_are_true() == 0);
    return 0;
}

static void a_grandchild_has_what_the_policy_says_too(void **state)
{
    (void)state;
    for_each_family(child_with_child);
}

static int child_breaks_canaries(void *argument)
{
    struct family *f = argument;
    char *native = securemem_arena_alloc(f->arena, 40);
    NEED(native != NULL);
    securemem_free(native);
    f->secrets[2][-1] ^= 1; /* a byte of its own might be the one that is there */
    securemem_free(f->secrets[2]);
    return 0;
}

static void a_canary_that_is_broken_in_the_child_is_seen_there(void **state)
{
    (void)state;
    const securemem_fork policies[] = {SECUREMEM_FORK_WIPE, SECUREMEM_FORK_KEEP};
    for (size_t i = 0; i < COUNT(policies); i++) {
        struct family f = family_of(policies[i], SECUREMEM_GUARDS_AUTO, 0);
        struct child_end end;
        child_run(child_breaks_canaries, &f, &end);
        assert_int_equal(end.signal, 6);
        assert_non_null(strstr(end.errors, "bytes around a secret were overwritten"));
        securemem_arena_destroy(f.arena);
    }
}

/* The kernel would give the same addresses again to a region of the same length. */
static int child_allocates_where_it_dropped(void *argument)
{
    struct family *f = argument;
    securemem_arena *others[8];
    char *news[8];
    for (size_t i = 0; i < COUNT(others); i++) {
        others[i] = securemem_arena_create(&f->options);
        NEED(others[i] != NULL);
        news[i] = securemem_arena_alloc(others[i], f->size);
        NEED(news[i] != NULL);
        memset(news[i], 3, f->size);
    }
    for (int i = 0; i < SECRETS; i++)
        securemem_free(f->secrets[i]);
    for (size_t i = 0; i < COUNT(others); i++) {
        NEED(securemem_size(news[i]) == f->size);
        NEED(all_bytes_are(news[i], f->size, 3));
        securemem_arena_destroy(others[i]);
    }
    securemem_arena_destroy(f->arena);
    return 0;
}

static void freeing_what_was_dropped_frees_nothing_new(void **state)
{
    (void)state;
    struct family f = family_of(SECUREMEM_FORK_DROP, SECUREMEM_GUARDS_PROT_NONE, 0);
    CHILD_PASSES(child_allocates_where_it_dropped, &f);
    securemem_arena_destroy(f.arena);
}

static int child_sees_ordinary_memory(void *argument)
{
    char *secret = argument;
    securemem_protection report;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.inheritance == SECUREMEM_KEPT);
    NEED(report.fork_safety.holds == 0 && report.fork_safety.asked == SECUREMEM_OFF);
    NEED(all_bytes_are(secret, 16, 0x81));
    NEED(report_is_true(secret, 16) == 0);
    securemem_free(secret);
    return 0;
}

static void without_fork_safety_the_child_has_ordinary_memory(void **state)
{
    (void)state;
    for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .fork_safety = SECUREMEM_OFF, .fork = (securemem_fork)fork});
        char *secret = securemem_arena_alloc(arena, 16);
        assert_non_null(secret);
        memset(secret, 0x81, 16);
        assert_false(child_skips(child_sees_ordinary_memory, secret));
        securemem_arena_destroy(arena);
    }
}

static int child_spends_the_budget(void *argument)
{
    securemem_arena *arena = argument;
    NEED(view_locked_bytes() == 0);
    for (int i = 0; i < 4; i++)
        NEED(securemem_arena_alloc(arena, 100) != NULL);
    NEED(securemem_arena_alloc(arena, 100) == NULL);
    NEED(view_locked_bytes() == 4 * view_page_size());
    return 0;
}

/* Two are live, one is idle, one is cached by a thread. */
static void what_a_child_did_not_inherit_does_not_count_in_its_budget(void **state)
{
    (void)state;
    securemem_arena *arena =
        arena_of((securemem_arena_options){.fork = SECUREMEM_FORK_DROP,
                                           .budget = 4 * view_page_size(),
                                           .idle = view_page_size(),
                                           .guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    void *secrets[4];
    for (int i = 0; i < 4; i++)
        secrets[i] = securemem_arena_alloc(arena, 100);
    securemem_free(secrets[2]);
    securemem_free(secrets[3]);
    assert_false(child_skips(child_spends_the_budget, arena));
    securemem_arena_destroy(arena);
}

static atomic_bool enough;

static void *wipe_until_enough(void *argument)
{
    while (!atomic_load(&enough))
        (void)securemem_wipe_all();
    return argument;
}

static int child_cannot_read(void *secret)
{
    return view_readable(secret) ? 1 : 0;
}

/* The wiper opens what it wipes; the child does not have it to close that again. */
static void a_fork_beside_a_wiper_opens_no_secret(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena =
            arena_of((securemem_arena_options){.guard_kind = kinds[k]});
        char *secret = securemem_arena_alloc(arena, 32);
        assert_non_null(secret);
        assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
        pthread_t wiper;
        atomic_store(&enough, false);
        assert_int_equal(pthread_create(&wiper, NULL, wipe_until_enough, NULL), 0);
        for (int i = 0; i < 400; i++)
            assert_false(child_skips(child_cannot_read, secret));
        atomic_store(&enough, true);
        assert_int_equal(pthread_join(wiper, NULL), 0);
        securemem_arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_what_the_policy_says_and_may_call_everything),
        cmocka_unit_test(a_grandchild_has_what_the_policy_says_too),
        cmocka_unit_test(a_canary_that_is_broken_in_the_child_is_seen_there),
        cmocka_unit_test(freeing_what_was_dropped_frees_nothing_new),
        cmocka_unit_test(without_fork_safety_the_child_has_ordinary_memory),
        cmocka_unit_test(what_a_child_did_not_inherit_does_not_count_in_its_budget),
        cmocka_unit_test(a_fork_beside_a_wiper_opens_no_secret),
    };
    return RUN_GROUP(tests);
}
