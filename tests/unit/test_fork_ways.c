/* SPDX-License-Identifier: ISC */
/* Forks of other kinds: among threads, raw clone(2), vfork(2), posix_spawn(3). */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/truth.h"

#define THREADS 4
#define FORKS   40

/* A child that waits for a lock that nobody holds is ended by this. */
#define CHILD_SECONDS 10

extern char **environ;

static atomic_bool stop;
static securemem_arena *shared_arena;

static void *churn(void *argument)
{
    size_t number = *(size_t *)argument;
    while (!atomic_load(&stop)) {
        char *secret = number % 2 == 0 ? securemem_alloc(100 + number)
                                       : securemem_arena_alloc(shared_arena, 5000);
        if (secret == NULL)
            return secret;
        bool opened = securemem_set_access(secret, SECUREMEM_NONE) == 0 &&
                      securemem_open(secret, SECUREMEM_WRITE) == 0;
        if (opened)
            secret[0] = 1;
        if (opened && securemem_close(secret) != 0)
            return NULL;
        securemem_free(secret);
    }
    return argument;
}

static void *wipe_all_the_time(void *argument)
{
    while (!atomic_load(&stop))
        (void)securemem_wipe_all(); /* threads that open and close race it */
    return argument;
}

static int child_allocates_and_frees(void *inherited)
{
    alarm(CHILD_SECONDS);
    for (int i = 0; i < 3; i++) {
        char *first = securemem_alloc(100);
        char *second = securemem_arena_alloc(shared_arena, 5000);
        NEED(first != NULL && second != NULL);
        memset(first, 1, 100);
        NEED(securemem_open(second, SECUREMEM_READ) == 0);
        NEED(securemem_close(second) == 0);
        securemem_free(first);
        securemem_free(second);
    }
    securemem_free(inherited);
    securemem_arena_destroy(shared_arena);
    return 0;
}

static void a_fork_among_busy_threads_leaves_a_child_that_works(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t numbers[THREADS];
    atomic_store(&stop, false);
    shared_arena = arena_of((securemem_arena_options){.idle = 4 * view_page_size()});
    void *secret = securemem_alloc(1);
    assert_non_null(secret);
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &numbers[i]), 0);
    }
    for (int i = 0; i < FORKS; i++)
        assert_false(child_skips(child_allocates_and_frees, secret));
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    securemem_free(secret);
    securemem_arena_destroy(shared_arena);
}

static void a_fork_while_a_thread_wipes_leaves_a_child_that_can_free(void **state)
{
    (void)state;
    static char *secrets[100]; /* enough that a fork meets the wiper at work */
    pthread_t wiper;
    atomic_store(&stop, false);
    shared_arena = arena_of((securemem_arena_options){0});
    for (size_t i = 0; i < COUNT(secrets); i++) {
        secrets[i] = securemem_alloc(100);
        assert_non_null(secrets[i]);
    }
    int unused;
    assert_int_equal(pthread_create(&wiper, NULL, wipe_all_the_time, &unused), 0);
    bool works = true;
    for (int i = 0; i < FORKS && works; i++) {
        struct child_end end;
        child_run(child_allocates_and_frees, secrets[0], &end);
        works = end.exit_code == 0;
        if (!works)
            print_error("the child: exit %d, signal %d %s\n", end.exit_code, end.signal,
                        end.errors);
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(wiper, NULL), 0);
    assert_true(works);
    for (size_t i = 0; i < COUNT(secrets); i++)
        securemem_free(secrets[i]);
    securemem_arena_destroy(shared_arena);
}

/* A fork that the library's handlers do not see. Gives the child's exit status. */
static int clone_run(int (*body)(void *), void *argument)
{
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    assert_true(child >= 0);
    if (child == 0) {
        alarm(CHILD_SECONDS);
        _exit(body(argument));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int after_the_first_call_all_is_back(void *secret)
{
    NEED(view_locked_bytes() == 0); /* what a clone takes */
    NEED(securemem_size(secret) == 5000);
    securemem_protection report;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.lock.holds && report.guards.holds);
    NEED(report.inheritance ==
         (report.fork == SECUREMEM_FORK_KEEP ? SECUREMEM_KEPT : SECUREMEM_WIPED));
    NEED(report_is_true(secret, 5000) == 0);
    NEED(view_locked_bytes() >= 2 * view_page_size());
    NEED(all_bytes_are(secret, 5000, report.fork == SECUREMEM_FORK_KEEP ? 0x81 : 0));
    securemem_free(secret);
    char *own = securemem_alloc(10);
    NEED(own != NULL);
    securemem_free(own);
    return 0;
}

static int the_first_call_is_the_budget_report(void *unused)
{
    (void)unused;
    securemem_budget_report report;
    NEED(securemem_budget(&report) == 0);
    NEED(report.charged == view_locked_bytes());
    NEED(report.charged == report.charged_process);
    return 0;
}

static int the_first_call_is_about_the_mode(void *unused)
{
    (void)unused;
    NEED(view_locked_bytes() == 0);
    NEED(!securemem_rt_active());
    securemem_budget_report report;
    NEED(view_locked_bytes() > 0);
    NEED(securemem_budget(&report) == 0 && report.charged == view_locked_bytes());
    return 0;
}

static void after_a_raw_clone_the_first_call_puts_locks_and_guards_back(void **state)
{
    (void)state;
    const securemem_fork policies[] = {SECUREMEM_FORK_WIPE, SECUREMEM_FORK_KEEP};
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < COUNT(policies); i++) {
            securemem_arena *arena = arena_of(
                (securemem_arena_options){.fork = policies[i], .guard_kind = kinds[k]});
            char *secret = securemem_arena_alloc(arena, 5000);
            assert_non_null(secret);
            memset(secret, 0x81, 5000);
            assert_int_equal(clone_run(after_the_first_call_all_is_back, secret), 0);
            assert_int_equal(clone_run(the_first_call_is_the_budget_report, NULL), 0);
            assert_int_equal(clone_run(the_first_call_is_about_the_mode, NULL), 0);
            assert_true(all_bytes_are(secret, 5000, 0x81));
            securemem_arena_destroy(arena);
        }
}

static int packed_ones_are_inherited_too(void *secret)
{
    securemem_protection report;
    securemem_budget_report budget;
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.placement == SECUREMEM_PACKED && report.lock.holds);
    NEED(report.inheritance == SECUREMEM_WIPED);
    NEED(securemem_budget(&budget) == 0 && budget.secrets == 2);
    NEED(all_bytes_are(secret, 40, 0));
    securemem_free(secret);
    NEED(securemem_budget(&budget) == 0 && budget.secrets == 1);
    securemem_arena_destroy(shared_arena);
    NEED(view_locked_bytes() == 0);
    return 0;
}

/* What the parent's thread had in its cache is nobody's there. */
static void after_a_raw_clone_packed_secrets_are_known_as_inherited(void **state)
{
    (void)state;
    shared_arena = arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED});
    char *secret = securemem_arena_alloc(shared_arena, 40);
    char *other = securemem_arena_alloc(shared_arena, 40);
    assert_true(secret != NULL && other != NULL);
    for (int i = 0; i < 20; i++)
        securemem_free(securemem_arena_alloc(shared_arena, 40));
    memset(secret, 0x81, 40);
    assert_int_equal(clone_run(packed_ones_are_inherited_too, secret), 0);
    assert_true(all_bytes_are(secret, 40, 0x81));
    securemem_arena_destroy(shared_arena);
}

/* Secrets of every fork policy, locked and closed, while other programs are started. */
static void make_household(securemem_arena *arenas[3], char *secrets[3])
{
    for (int i = 0; i < 3; i++) {
        arenas[i] = arena_of((securemem_arena_options){.fork = (securemem_fork)i});
        secrets[i] = securemem_arena_alloc(arenas[i], 100);
        assert_non_null(secrets[i]);
        memset(secrets[i], 0x81, 100);
        assert_int_equal(securemem_set_access(secrets[i], SECUREMEM_NONE), 0);
    }
}

static void check_household(securemem_arena *arenas[3], char *secrets[3], pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(report_is_true(secrets[i], 100), 0);
        assert_int_equal(securemem_open(secrets[i], SECUREMEM_READ), 0);
        assert_true(all_bytes_are(secrets[i], 100, 0x81));
        assert_int_equal(securemem_close(secrets[i]), 0);
        securemem_arena_destroy(arenas[i]);
    }
}

static void posix_spawn_works_beside_secrets(void **state)
{
    (void)state;
    securemem_arena *arenas[3];
    char *secrets[3], name[] = "true";
    char *arguments[] = {name, NULL};
    make_household(arenas, secrets);
    pid_t child;
    assert_int_equal(posix_spawnp(&child, name, NULL, NULL, arguments, environ), 0);
    check_household(arenas, secrets, child);
}

static void vfork_and_exec_work_beside_secrets(void **state)
{
    (void)state;
    securemem_arena *arenas[3];
    char *secrets[3];
    make_household(arenas, secrets);
    pid_t child = vfork();
    if (child == 0) {
        execlp("true", "true", (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    check_household(arenas, secrets, child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_among_busy_threads_leaves_a_child_that_works),
        cmocka_unit_test(a_fork_while_a_thread_wipes_leaves_a_child_that_can_free),
        cmocka_unit_test(after_a_raw_clone_the_first_call_puts_locks_and_guards_back),
        cmocka_unit_test(after_a_raw_clone_packed_secrets_are_known_as_inherited),
        cmocka_unit_test(posix_spawn_works_beside_secrets),
        cmocka_unit_test(vfork_and_exec_work_beside_secrets),
    };
    return RUN_GROUP(tests);
}
