/* SPDX-License-Identifier: ISC */
/* A child that may not lock what it inherits: kept secrets are wiped there, and told. */
#include <errno.h>
#include <unistd.h>

#include "unit/truth.h"

/* One process: it locks, gives up the right to lock, then forks. */
struct plan {
    securemem_fork fork;
    securemem_policy fork_safety;
    securemem_guard_kind kind;
    securemem_access rest;
    securemem_inheritance expected;
    char *secret;
    securemem_arena *arena;
};

#define SIZE 5000

static int child_without_locks(void *argument)
{
    struct plan *p = argument;
    securemem_protection report;
    struct view view;
    bool contents = p->expected == SECUREMEM_KEPT;
    NEED(securemem_protection(p->secret, &report) == 0);
    NEED(report.inheritance == p->expected);
    NEED(report.lock.asked == SECUREMEM_REQUIRED);
    NEED(report.lock.holds == 0);
    NEED(report.lock.refused == EPERM);
    NEED(report.resting_access == p->rest);
    NEED(report_is_true(p->secret, SIZE) == 0);
    NEED(view_at(p->secret, &view) && !view_has(&view, "lo"));
    NEED(securemem_open(p->secret, SECUREMEM_READ) == 0);
    NEED(all_bytes_are(p->secret, SIZE, contents ? 0x81 : 0));
    NEED(securemem_close(p->secret) == 0);
    NEED(view_locked_bytes() == 0);

    errno = 0;
    NEED(securemem_arena_alloc(p->arena, 10) == NULL);
    NEED(errno == EPERM);
    NEED(strstr(securemem_last_error()->message, "MEMLOCK") != NULL);
    securemem_free(p->secret); /* a canary that is not known would abort */
    securemem_arena_destroy(p->arena);
    return 0;
}

static int lock_then_fork(void *argument)
{
    struct plan *p = argument;
    p->arena = securemem_arena_create(&(securemem_arena_options){
        .fork = p->fork, .fork_safety = p->fork_safety, .guard_kind = p->kind});
    NEED(p->arena != NULL);
    p->secret = securemem_arena_alloc(p->arena, SIZE);
    NEED(p->secret != NULL);
    memset(p->secret, 0x81, SIZE);
    NEED(securemem_set_access(p->secret, p->rest) == 0);
    size_t locked = view_locked_bytes();
    if (!child_become_ordinary(0))
        return SKIP_EXIT;
    struct child_end end;
    child_run(child_without_locks, p, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    /* The parent keeps what it has. */
    NEED(view_locked_bytes() == locked);
    NEED(securemem_open(p->secret, SECUREMEM_READ) == 0);
    NEED(all_bytes_are(p->secret, SIZE, 0x81));
    NEED(securemem_close(p->secret) == 0);
    NEED(report_is_true(p->secret, SIZE) == 0);
    return 0;
}

/* The test itself, so that a machine where root may not be given up skips it aloud. */
#define FOR_EACH_KIND_AND_REST(...)                                                      \
    do {                                                                                 \
        securemem_guard_kind kinds[2];                                                   \
        size_t count = guard_kinds(kinds);                                               \
        for (size_t k = 0; k < count; k++)                                               \
            for (int rest = SECUREMEM_NONE; rest <= SECUREMEM_WRITE; rest++) {           \
                struct plan plan = {__VA_ARGS__};                                        \
                plan.kind = kinds[k];                                                    \
                plan.rest = (securemem_access)rest;                                      \
                CHILD_PASSES(lock_then_fork, &plan);                                     \
            }                                                                            \
    } while (0)

static void a_kept_secret_that_cannot_be_locked_is_wiped_and_told(void **state)
{
    (void)state;
    FOR_EACH_KIND_AND_REST(.fork = SECUREMEM_FORK_KEEP, .expected = SECUREMEM_KEPT_WIPED);
}

static void a_wiped_secret_that_cannot_be_locked_says_so(void **state)
{
    (void)state;
    FOR_EACH_KIND_AND_REST(.fork = SECUREMEM_FORK_WIPE, .expected = SECUREMEM_WIPED);
}

static void ordinary_memory_that_cannot_be_locked_says_so(void **state)
{
    (void)state;
    FOR_EACH_KIND_AND_REST(.fork = SECUREMEM_FORK_KEEP, .fork_safety = SECUREMEM_OFF,
                           .expected = SECUREMEM_KEPT);
}

static int child_allocates_by_preference(void *argument)
{
    char *secret = securemem_arena_alloc(argument, 10);
    NEED(secret != NULL);
    securemem_protection report;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.lock.holds == 0 && report.lock.refused == EPERM);
    NEED(report.guards.holds == 1);
    securemem_free(secret);
    securemem_arena_destroy(argument);
    return 0;
}

static int prefer_then_fork(void *unused)
{
    (void)unused;
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.lock = SECUREMEM_PREFERRED, .idle = SIZE_MAX});
    NEED(arena != NULL);
    char *secret = securemem_arena_alloc(arena, 10);
    NEED(secret != NULL);
    securemem_free(secret); /* idle and locked here; in the child without its lock */
    if (!child_become_ordinary(0))
        return SKIP_EXIT;
    struct child_end end;
    child_run(child_allocates_by_preference, arena, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    return 0;
}

static void a_preferred_lock_that_the_child_cannot_have_is_told(void **state)
{
    (void)state;
    CHILD_PASSES(prefer_then_fork, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_secret_that_cannot_be_locked_is_wiped_and_told),
        cmocka_unit_test(a_wiped_secret_that_cannot_be_locked_says_so),
        cmocka_unit_test(ordinary_memory_that_cannot_be_locked_says_so),
        cmocka_unit_test(a_preferred_lock_that_the_child_cannot_have_is_told),
    };
    return RUN_GROUP(tests);
}
