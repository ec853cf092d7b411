/* SPDX-License-Identifier: ISC */
/* A child that may not lock what it inherits: kept secrets are wiped there, and told. */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit/truth.h"

/* One process: it locks, gives up the right to lock, then forks. */
struct plan {
    securemem_fork fork;
    securemem_policy fork_safety;
    securemem_guard_kind kind;
    securemem_access rest;
    securemem_inheritance expected;
    char *secret, *other, *third;
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

#define ENOUGH ((size_t)1 << 20)
#define SMALL  32
#define MANY   100 /* more than a thread caches */

static void may_lock_bytes(size_t bytes)
{
    struct rlimit limit;
    NEED(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    limit.rlim_cur = bytes;
    NEED(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
}

static void may_lock(bool allowed)
{
    may_lock_bytes(allowed ? ENOUGH : 0);
}

static bool is_locked(const void *address)
{
    struct view view;
    return view_at(address, &view) && view_has(&view, "lo");
}

static void need_refusals(const struct plan *p)
{
    errno = 0;
    NEED(securemem_arena_alloc(p->arena, SMALL) == NULL && errno == EPERM);
    errno = 0;
    NEED(securemem_realloc(p->secret, SMALL - 1) == NULL && errno == EPERM);
}

/* Neither what is free on a page whose lock was refused, nor what is freed there. */
static int child_packs_without_locks(void *argument)
{
    struct plan *p = argument;
    NEED(!is_locked(p->secret));
    need_refusals(p);
    securemem_free(p->other);
    need_refusals(p);
    may_lock(true);
    char *secret = securemem_arena_alloc(p->arena, SMALL);
    NEED(secret != NULL && is_locked(secret));
    securemem_free(p->third); /* now that there is a cache */
    for (int i = 0; i < MANY; i++) {
        char *more = securemem_arena_alloc(p->arena, SMALL);
        NEED(more != NULL && is_locked(more));
    }
    char *moved = securemem_realloc(p->secret, SMALL - 1);
    NEED(moved != NULL && moved != p->secret && is_locked(moved));
    securemem_free(moved);
    securemem_free(secret);
    NEED(securemem_arena_check(p->arena) == 0);
    securemem_arena_destroy(p->arena);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static int pack_then_fork(void *argument)
{
    struct plan *p = argument;
    if (!child_become_ordinary(ENOUGH))
        return SKIP_EXIT;
    p->arena = securemem_arena_create(&(securemem_arena_options){
        .placement = SECUREMEM_PACKED, .fork = p->fork, .idle = SIZE_MAX});
    NEED(p->arena != NULL);
    p->secret = securemem_arena_alloc(p->arena, SMALL);
    p->other = securemem_arena_alloc(p->arena, SMALL);
    p->third = securemem_arena_alloc(p->arena, SMALL);
    NEED(p->secret != NULL && p->other != NULL && p->third != NULL);
    NEED(is_locked(p->secret));
    may_lock(false);
    struct child_end end;
    child_run(child_packs_without_locks, p, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    return 0;
}

static void a_page_that_cannot_be_locked_gives_no_packed_secret(void **state)
{
    (void)state;
    for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++) {
        struct plan plan = {.fork = (securemem_fork)fork};
        if (fork != SECUREMEM_FORK_DROP)
            CHILD_PASSES(pack_then_fork, &plan);
    }
}

/* What is open takes three pages, its sealing key one. */
#define OPENED 12288

/* Nor does a grandchild, which may lock what it inherits, take zeros for the secret. */
static int grandchild_without_what_was_open(void *argument)
{
    static char into[OPENED];
    securemem_sealed *sealed = argument;
    errno = 0;
    NEED(securemem_sealed_open(sealed, SECUREMEM_WRITE) == NULL && errno == ENOKEY);
    NEED(securemem_sealed_close(sealed) == 0);
    NEED(securemem_unseal_into(sealed, into, OPENED) == 0);
    NEED(strcmp(into, "correct") == 0);
    return 0;
}

static int child_without_what_was_open(void *argument)
{
    static char into[OPENED];
    securemem_sealed *sealed = argument;
    struct child_end end;
    NEED(securemem_unseal_into(sealed, into, OPENED) == 0);
    NEED(strcmp(into, "correct") == 0); /* the key is here, and locked */
    for (int i = 0; i < 2; i++) {
        errno = 0;
        NEED(securemem_sealed_open(sealed, SECUREMEM_WRITE) == NULL && errno == ENOKEY);
        NEED(strstr(securemem_last_error()->message, "in this child") != NULL);
    }
    may_lock(true);
    child_run(grandchild_without_what_was_open, sealed, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    NEED(securemem_sealed_close(sealed) == 0);
    into[0] = 0;
    NEED(securemem_unseal_into(sealed, into, OPENED) == 0);
    NEED(strcmp(into, "correct") == 0); /* zeros were not sealed over it */
    char *again = securemem_sealed_open(sealed, SECUREMEM_READ);
    NEED(again != NULL && strcmp(again, "correct") == 0 && is_locked(again));
    NEED(securemem_sealed_close(sealed) == 0);
    return 0;
}

static int open_then_fork(void *unused)
{
    (void)unused;
    static char bytes[OPENED] = "correct";
    if (!child_become_ordinary(ENOUGH))
        return SKIP_EXIT;
    securemem_sealed *sealed = securemem_seal(bytes, OPENED, SECUREMEM_SEAL_KEEP);
    NEED(sealed != NULL && securemem_sealed_open(sealed, SECUREMEM_WRITE) != NULL);
    may_lock_bytes(OPENED);
    struct child_end end;
    child_run(child_without_what_was_open, sealed, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    return 0;
}

static void what_was_open_of_a_sealed_one_and_wiped_is_not_sealed(void **state)
{
    (void)state;
    if (view_page_size() * 3 != OPENED)
        SKIP("pages are not of 4 KiB");
    CHILD_PASSES(open_then_fork, NULL);
}

static int grandchild_keeps_the_childs(void *argument)
{
    securemem_protection report;
    NEED(strcmp(argument, "of the child") == 0);
    NEED(securemem_protection(argument, &report) == 0);
    NEED(report.inheritance == SECUREMEM_KEPT && report.lock.holds == 1);
    return 0;
}

static int child_writes_again(void *argument)
{
    securemem_protection report;
    struct child_end end;
    NEED(securemem_protection(argument, &report) == 0);
    NEED(report.inheritance == SECUREMEM_KEPT_WIPED);
    strcpy(argument, "of the child");
    may_lock(true);
    child_run(grandchild_keeps_the_childs, argument, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    securemem_free(argument);
    return 0;
}

static int fork_twice(void *argument)
{
    if (!child_become_ordinary(ENOUGH))
        return SKIP_EXIT;
    char *secret =
        securemem_arena_alloc(securemem_arena_create(&(securemem_arena_options){
                                  .fork = SECUREMEM_FORK_KEEP,
                                  .placement = *(const securemem_placement *)argument}),
                              SMALL);
    NEED(secret != NULL);
    may_lock(false);
    struct child_end end;
    child_run(child_writes_again, secret, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    return 0;
}

static void a_grandchild_is_told_of_its_own_fork(void **state)
{
    (void)state;
    for (int placement = SECUREMEM_GUARDED; placement <= SECUREMEM_PACKED; placement++) {
        securemem_placement which = (securemem_placement)placement;
        CHILD_PASSES(fork_twice, &which);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_secret_that_cannot_be_locked_is_wiped_and_told),
        cmocka_unit_test(a_wiped_secret_that_cannot_be_locked_says_so),
        cmocka_unit_test(ordinary_memory_that_cannot_be_locked_says_so),
        cmocka_unit_test(a_preferred_lock_that_the_child_cannot_have_is_told),
        cmocka_unit_test(a_page_that_cannot_be_locked_gives_no_packed_secret),
        cmocka_unit_test(what_was_open_of_a_sealed_one_and_wiped_is_not_sealed),
        cmocka_unit_test(a_grandchild_is_told_of_its_own_fork),
    };
    return RUN_GROUP(tests);
}
