/* SPDX-License-Identifier: ISC */
/* Forks in and beside scratch calls. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#define PATTERN_BYTES ((size_t)1024)

static pid_t parent;
static pthread_t caller;
static int status;

static int wait_for(pid_t pid)
{
    int end;
    NEED(waitpid(pid, &end, 0) == pid);
    return end;
}

static void need_locked(const void *address)
{
    struct view view;
    NEED(view_at(address, &view));
    NEED(view_has(&view, "lo") && view_has(&view, "dd"));
    NEED(!view_readable((char *)view.start - 1) && !view_readable((char *)view.end));
}

static void fork_inside(void *argument)
{
    struct view view;
    char kept[64];
    memset(kept, 7, sizeof kept);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid > 0) {
        status = wait_for(pid);
        return;
    }
    need_locked(kept);
    NEED(all_bytes_are(kept, sizeof kept, 7));
    NEED(view_at(kept, &view));
    *(struct view *)argument = view;
    if (!pthread_equal(pthread_self(), caller))
        _exit(0); /* the caller is another thread, and not here */
}

static void do_nothing(void *argument)
{
    (void)argument;
}

static void a_child_goes_on_on_its_stack_which_is_locked_anew(void **state)
{
    (void)state;
    struct view view;
    parent = getpid();
    caller = pthread_self();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(securemem_scratch_call(fork_inside, &view, 0), 0);
        if (getpid() != parent) {
            NEED(all_bytes_are((char *)view.start, view.end - view.start, 0));
            NEED(securemem_scratch_call(do_nothing, NULL, 0) == 0);
            NEED(securemem_scratch_trim() == 0);
            NEED(!view_readable((char *)view.start));
            _exit(0);
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Another thread, in a scratch call at the moment of the fork. */
static char *pattern;
static sem_t inside, enough;

static void wait_inside(void *argument)
{
    char bytes[PATTERN_BYTES];
    memset(bytes, 0x77, sizeof bytes);
    pattern = bytes;
    __asm__ volatile("" : : "r"(bytes) : "memory");
    sem_post(&inside);
    while (sem_wait(&enough) != 0)
        ;
    *(bool *)argument = all_bytes_are(bytes, sizeof bytes, 0x77);
}

static void *be_inside(void *argument)
{
    NEED(securemem_scratch_call(wait_inside, argument, 0) == 0);
    return NULL;
}

static void a_child_has_no_stack_of_other_threads(void **state)
{
    (void)state;
    bool whole = false;
    pthread_t thread;
    assert_int_equal(sem_init(&inside, 0, 0) + sem_init(&enough, 0, 0), 0);
    assert_int_equal(securemem_scratch_call(do_nothing, NULL, 0), 0); /* a spare one */
    assert_int_equal(pthread_create(&thread, NULL, be_inside, &whole), 0);
    while (sem_wait(&inside) != 0)
        ;
    pid_t pid = fork();
    if (pid == 0) {
        NEED(!view_readable(pattern));
        NEED(securemem_scratch_trim() == 0 && view_locked_bytes() == 0);
        NEED(securemem_scratch_call(do_nothing, NULL, 0) == 0);
        need_locked(securemem_alloc(1));
        _exit(0);
    }
    assert_true(view_readable(pattern));
    int end = wait_for(pid);
    sem_post(&enough);
    pthread_join(thread, NULL);
    assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 0);
    assert_true(whole);
}

static void fork_without_room(void *argument)
{
    struct rlimit none = {0, *(rlim_t *)argument};
    NEED(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0); /* not reached: what it stands on is gone */
    status = wait_for(pid);
}

static int refuse_child(void *argument)
{
    rlim_t room = 1 << 20;
    (void)argument;
    if (!child_become_ordinary(room))
        return SKIP_EXIT;
    signal(SIGSEGV, SIG_DFL);
    NEED(securemem_scratch_call(fork_without_room, &room, 0) == 0);
    NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    return 0;
}

static void a_child_that_is_refused_the_lock_ends(void **state)
{
    (void)state;
    CHILD_PASSES(refuse_child, NULL);
}

/* Threads come, grow, nest and go while another forks: each child ends what it finds. */
static atomic_bool stop;

/* Handlers with SA_ONSTACK find a locked stack, in the call that was forked and later. */
static void look_at_alternate(void *argument)
{
    stack_t stack;
    NEED(sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0);
    need_locked(stack.ss_sp);
    if (argument == NULL)
        return;
    pid_t pid = fork();
    if (pid > 0) {
        NEED(wait_for(pid) == 0);
    } else {
        struct rlimit none = {0};
        NEED(sigaltstack(NULL, &stack) == 0);
        need_locked(stack.ss_sp); /* anew */
        NEED(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
        *(bool *)argument = true;
    }
}

static int refuse_alternate(void *argument)
{
    static char own[1 << 16];
    const stack_t stack = {.ss_sp = own, .ss_size = sizeof own};
    bool within = *(bool *)argument, forked = false;
    if (!child_become_ordinary((uint64_t)1 << 20))
        return SKIP_EXIT;
    NEED(sigaltstack(&stack, NULL) == 0);
    NEED(securemem_scratch_call(look_at_alternate, within ? &forked : NULL, 0) == 0);
    if (within && !forked)
        return 0;
    struct rlimit few = {8192, 1 << 20};
    if (!within) {
        NEED(setrlimit(RLIMIT_MEMLOCK, &few) == 0);
        pid_t pid = fork();
        if (pid > 0) {
            NEED(wait_for(pid) == 0);
            return 0;
        }
    }
    /* What the parent had is not taken for locked. */
    NEED(securemem_scratch_call(look_at_alternate, NULL, 4096) < 0);
    if (within)
        _exit(0);
    few.rlim_cur = few.rlim_max;
    NEED(setrlimit(RLIMIT_MEMLOCK, &few) == 0);
    NEED(securemem_scratch_call(look_at_alternate, NULL, 0) == 0);
    return 0;
}

static void note_thread(void *argument)
{
    *(pthread_t *)argument = pthread_self();
}

static bool runs_in_a_thread(void)
{
    pthread_t ran_in;
    assert_int_equal(securemem_scratch_call(note_thread, &ran_in, 0), 0);
    return !pthread_equal(ran_in, pthread_self());
}

static void a_child_locks_the_alternate_stack_anew_or_is_refused(void **state)
{
    (void)state;
    if (runs_in_a_thread())
        SKIP("a new thread has no alternate stack");
    for (int i = 0; i < 2; i++) {
        bool within = i == 1;
        CHILD_PASSES(refuse_alternate, &within);
    }
}

static void nest(void *argument)
{
    size_t *left = argument;
    if ((*left)-- > 0)
        NEED(securemem_scratch_call(nest, left, *left * 9000) == 0);
}

static void *come_and_go(void *argument)
{
    while (!atomic_load(&stop)) {
        size_t depth = 3;
        NEED(securemem_scratch_call(nest, &depth, 5000) == 0);
        NEED(securemem_scratch_trim() == 0);
    }
    return argument;
}

static void forks_beside_busy_threads_find_nothing_half_done(void **state)
{
    (void)state;
    pthread_t threads[2];
    atomic_store(&stop, false);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    int failed = 0;
    for (int i = 0; i < 150; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            size_t depth = 2;
            NEED(securemem_scratch_call(nest, &depth, 5000) == 0);
            NEED(securemem_scratch_trim() == 0);
            _exit(0);
        }
        failed += wait_for(pid) != 0;
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_goes_on_on_its_stack_which_is_locked_anew),
        cmocka_unit_test(a_child_has_no_stack_of_other_threads),
        cmocka_unit_test(a_child_that_is_refused_the_lock_ends),
        cmocka_unit_test(a_child_locks_the_alternate_stack_anew_or_is_refused),
        cmocka_unit_test(forks_beside_busy_threads_find_nothing_half_done),
    };
    return RUN_GROUP(tests);
}
