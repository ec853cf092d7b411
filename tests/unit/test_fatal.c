/* SPDX-License-Identifier: ISC */
/*
 * Signals that end a process: it ends as it would have, and the program's handlers run as
 * if nobody were before them. That nothing is left of secrets: attacks/ending.c.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* <asm/auxvec.h> of some processors lacks it */
#endif

#define BOTH (SECUREMEM_SIGNALS_FAULTS | SECUREMEM_SIGNALS_TERMINATION)

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
static const int terminations[] = {SIGHUP,    SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                                   SIGALRM,   SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
                                   SIGVTALRM, SIGPROF, SIGIO,   SIGPWR};

static unsigned char *secret;

static void set_defaults(void)
{
    for (int i = 1; i < 32; i++)
        (void)signal(i, SIG_DFL); /* refused for SIGKILL and SIGSTOP */
}

static void make_secret(void)
{
    secret = securemem_alloc(64);
    NEED(secret != NULL);
    memset(secret, 0x5a, 64);
}

/* A sanitizer gives every thread one of its own. */
static void take_alternate_away(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    NEED(sigaltstack(&none, NULL) == 0);
}

static bool is_wiped(void)
{
    return all_bytes_are(secret, 64, 0);
}

static bool is_whole(void)
{
    return all_bytes_are(secret, 64, 0x5a);
}

static char *map_none(void)
{
    char *start =
        mmap(NULL, view_page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(start != MAP_FAILED);
    return start;
}

static void touch_none(void)
{
    *(volatile char *)map_none() = 1;
}

/* The wait status of a child that dies by the number's way. */
struct death {
    unsigned asked; /* 0: the control */
    int number;
    void (*die)(int number);
};

static void die_by_raise(int number)
{
    (void)raise(number);
}

static void die_by_kill(int number)
{
    (void)kill(getpid(), number);
}

static void die_by_fault(int number)
{
    (void)number;
    touch_none();
}

static void die_by_abort(int number)
{
    (void)number;
    abort();
}

static void *die_in_thread(void *argument)
{
    const int *number = argument;
    (void)raise(*number);
    return NULL;
}

static void die_by_thread(int number)
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, die_in_thread, &number) == 0);
    (void)pthread_join(thread, NULL);
}

static int status_of(const struct death *death)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        set_defaults();
        make_secret();
        if (death->asked != 0)
            NEED(securemem_wipe_on_fatal_signal(death->asked) == 0);
        death->die(death->number);
        _exit(99);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect_same_death(int number, void (*die)(int))
{
    struct death death = {.number = number, .die = die};
    int control = status_of(&death);
    death.asked = BOTH;
    assert_true(WIFSIGNALED(control) && WTERMSIG(control) == number);
    assert_int_equal(status_of(&death), control);
}

static void a_process_ends_by_the_same_signal_with_the_same_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        expect_same_death(faults[i], die_by_raise);
        expect_same_death(faults[i], die_by_kill);
        expect_same_death(faults[i], die_by_thread);
    }
    for (size_t i = 0; i < COUNT(terminations); i++) {
        expect_same_death(terminations[i], die_by_raise);
        expect_same_death(terminations[i], die_by_kill);
    }
    expect_same_death(SIGSEGV, die_by_fault);
    expect_same_death(SIGABRT, die_by_abort);
}

/* What a handler of the program's sees. */
struct seen {
    int count, number, code;
    const void *address;
    bool wiped;
    sigset_t blocked;
};

static struct seen seen;
static sigjmp_buf back;

static void see(int number, siginfo_t *info, void *context)
{
    (void)context;
    seen.count++;
    seen.number = number;
    seen.code = info->si_code;
    seen.address = info->si_addr;
    seen.wiped = is_wiped();
    NEED(sigprocmask(SIG_BLOCK, NULL, &seen.blocked) == 0);
    siglongjmp(back, 1);
}

static bool same_set(const sigset_t *a, const sigset_t *b)
{
    for (int i = 1; i < NSIG; i++)
        if (sigismember(a, i) != sigismember(b, i))
            return false;
    return true;
}

static struct seen fault_at(char *address)
{
    seen = (struct seen){0};
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)address = 1;
    return seen;
}

/* The same fault with and without: the same to the program's handler, but for the secret. */
static int chain(void *argument)
{
    const int flags = *(const int *)argument;
    struct sigaction action = {.sa_sigaction = see, .sa_flags = SA_SIGINFO | flags};
    set_defaults();
    make_secret();
    char *target = map_none();
    sigaddset(&action.sa_mask, SIGUSR1);
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    struct seen control = fault_at(target);
    NEED(control.count == 1 && !control.wiped && is_whole());
    if ((flags & (int)SA_RESETHAND) != 0)
        NEED(sigaction(SIGSEGV, &action, NULL) == 0);

    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
    struct seen with = fault_at(target);
    NEED(with.count == 1 && with.number == control.number && with.code == control.code);
    NEED(with.address == control.address && with.wiped);
    NEED(IS_TSAN || same_set(&with.blocked, &control.blocked));
    struct sigaction now;
    NEED(sigaction(SIGSEGV, NULL, &now) == 0);
    if ((flags & (int)SA_RESETHAND) != 0) {
        NEED(now.sa_handler == SIG_DFL);
        return 0;
    }
    /* A handler that recovers runs again and again. */
    for (int i = 0; i < 3; i++)
        NEED(fault_at(target).count == 1);
    NEED(securemem_wipe_on_fatal_signal(0) == 0);
    NEED(sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_sigaction == see);
    NEED(same_set(&now.sa_mask, &action.sa_mask));
    return 0;
}

static void the_handler_that_was_there_runs_as_if_alone(void **state)
{
    (void)state;
    static int flags[] = {0, (int)SA_NODEFER, (int)SA_RESETHAND, (int)SA_RESTART};
    for (size_t i = 0; i < COUNT(flags); i++)
        CHILD_PASSES(chain, &flags[i]);
}

static volatile sig_atomic_t plain_number;

static void note_number(int number)
{
    plain_number = number;
}

static int go_on(void *argument)
{
    (void)argument;
    set_defaults();
    make_secret();
    /* A plain handler that returns: the program goes on, as without. */
    NEED(signal(SIGFPE, note_number) != SIG_ERR);
    NEED(signal(SIGSEGV, SIG_IGN) != SIG_ERR);
    NEED(signal(SIGTERM, note_number) != SIG_ERR);
    NEED(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    NEED(securemem_wipe_on_fatal_signal(BOTH) == 0);

    /* What ends nothing wipes nothing. */
    errno = 77;
    NEED(raise(SIGSEGV) == 0 && raise(SIGTERM) == 0 && raise(SIGPIPE) == 0);
    NEED(plain_number == SIGTERM && is_whole() && errno == 77);
    NEED(raise(SIGFPE) == 0 && plain_number == SIGFPE && is_wiped());
    return 0;
}

static void what_the_program_ignores_or_handles_to_end_well_wipes_nothing(void **state)
{
    (void)state;
    CHILD_PASSES(go_on, NULL);
}

static void die_ignoring(int number)
{
    NEED(signal(number, SIG_IGN) != SIG_ERR);
    if (number == SIGABRT)
        abort();
    touch_none();
}

static void die_ignoring_with(int number)
{
    NEED(signal(number, SIG_IGN) != SIG_ERR);
    NEED(securemem_wipe_on_fatal_signal(BOTH) == 0);
    if (number == SIGABRT)
        abort();
    touch_none();
}

static void an_ignored_fault_ends_the_process_as_it_would(void **state)
{
    (void)state;
    static const int numbers[] = {SIGSEGV, SIGABRT};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct death death = {.number = numbers[i], .die = die_ignoring};
        int control = status_of(&death);
        death.die = die_ignoring_with;
        assert_int_equal(WTERMSIG(control), numbers[i]);
        assert_int_equal(status_of(&death), control);
    }
}

static void take_actions(struct sigaction *out)
{
    for (int i = 1; i < 32; i++)
        NEED(sigaction(i, NULL, &out[i]) == 0);
}

static bool same_actions(const struct sigaction *a, const struct sigaction *b)
{
    for (int i = 1; i < 32; i++)
        if (a[i].sa_handler != b[i].sa_handler || a[i].sa_flags != b[i].sa_flags)
            return false;
    return true;
}

static int give_back(void *argument)
{
    (void)argument;
    struct sigaction before[32] = {0}, now[32] = {0};
    set_defaults();
    NEED(signal(SIGBUS, note_number) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
    size_t locked = view_locked_bytes();
    take_actions(before);
    NEED(securemem_wipe_on_fatal_signal(4) == -EINVAL);
    NEED(securemem_wipe_on_fatal_signal(0) == 0);
    take_actions(now);
    NEED(same_actions(before, now) && view_locked_bytes() == locked);

    NEED(securemem_wipe_on_fatal_signal(BOTH) == 0);
    take_actions(now);
    for (size_t i = 0; i < COUNT(faults); i++)
        NEED(now[faults[i]].sa_handler != before[faults[i]].sa_handler);
    for (size_t i = 0; i < COUNT(terminations); i++)
        NEED(terminations[i] == SIGHUP || now[terminations[i]].sa_handler != SIG_DFL);
    NEED(now[SIGHUP].sa_handler == SIG_IGN && now[SIGCHLD].sa_handler == SIG_DFL);
    struct sigaction again[32] = {0};
    NEED(securemem_wipe_on_fatal_signal(BOTH) == 0); /* once more is the same */
    take_actions(again);
    NEED(same_actions(now, again));
    NEED(signal(SIGTERM, SIG_DFL) != SIG_ERR && signal(SIGSEGV, SIG_DFL) != SIG_ERR);
    NEED(securemem_wipe_on_fatal_signal(BOTH) == 0); /* of what was put back as well */
    take_actions(again);
    NEED(same_actions(now, again));
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
    take_actions(now);
    NEED(now[SIGTERM].sa_handler == SIG_DFL && now[SIGSEGV].sa_handler != SIG_DFL);
    NEED(signal(SIGILL, note_number) != SIG_ERR); /* the program's later one stays */
    NEED(securemem_wipe_on_fatal_signal(0) == 0);
    take_actions(now);
    NEED(now[SIGILL].sa_handler == note_number);
    now[SIGILL] = before[SIGILL];
    NEED(same_actions(before, now) && view_locked_bytes() == locked);
    return 0;
}

static void what_was_asked_for_is_given_back(void **state)
{
    (void)state;
    CHILD_PASSES(give_back, NULL);
}

/* Deeper until there is no stack left. */
__attribute__((noinline)) static unsigned descend(unsigned depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    return depth == UINT32_MAX ? 0U : descend(depth + 1) + (unsigned char)frame[0];
}

static void exit_by_what_is_left(int number)
{
    (void)number;
    _exit(is_wiped() ? 42 : 43);
}

struct overflow {
    bool in_thread, with_stack;
};

static void *overflow_thread(void *argument)
{
    const struct overflow *overflow = argument;
    take_alternate_away();
    if (overflow->with_stack)
        NEED(securemem_signal_stack() == 0);
    return (void *)(uintptr_t)descend(0); /* NOLINT: never there */
}

static int run_over(void *argument)
{
    const struct overflow *overflow = argument;
    set_defaults();
    make_secret();
    struct rlimit stack = {1 << 20, 1 << 20};
    NEED(setrlimit(RLIMIT_STACK, &stack) == 0);
    /* Without SA_ONSTACK: it runs where the library's handler does. */
    struct sigaction action = {.sa_handler = exit_by_what_is_left};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
    if (!overflow->in_thread)
        return (int)descend(0);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, overflow_thread, argument) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    return 0;
}

static void a_stack_that_overflowed_is_no_hindrance_where_there_is_another(void **state)
{
    (void)state;
    struct child_end end;
    child_run(run_over, &(struct overflow){false, true}, &end);
    assert_int_equal(end.exit_code, 42);
    child_run(run_over, &(struct overflow){true, true}, &end);
    assert_int_equal(end.exit_code, 42);
    /* The control: a thread without one dies before any handler. */
    child_run(run_over, &(struct overflow){true, false}, &end);
    assert_int_equal(end.signal, SIGSEGV);
}

static int ask_for_stack(void *argument)
{
    (void)argument;
    stack_t now, before;
    take_alternate_away();
    NEED(securemem_signal_stack() == 0);
    NEED(sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0);
    char *stack = now.ss_sp;
    NEED(now.ss_size >= getauxval(AT_MINSIGSTKSZ) + 65536);
    struct view view;
    NEED(view_at(stack, &view) && view_has(&view, "lo") && view_has(&view, "dd"));
    NEED(view_at(stack + now.ss_size - 1, &view) && view_has(&view, "lo"));
    NEED(!view_readable(stack - 1));
    size_t mappings = view_mappings(), locked = view_locked_bytes();
    NEED(securemem_signal_stack() == 0);
    NEED(view_mappings() == mappings && view_locked_bytes() == locked);

    /* One of the program's own is left alone. */
    static char own[65536];
    stack_t mine = {.ss_sp = own, .ss_size = sizeof own};
    NEED(sigaltstack(&mine, &before) == 0 && before.ss_sp == stack);
    NEED(securemem_signal_stack() == 0);
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
    NEED(securemem_wipe_on_fatal_signal(0) == 0);
    NEED(sigaltstack(NULL, &now) == 0 && now.ss_sp == own);
    NEED(view_locked_bytes() == 0); /* ours went, since nobody was on it */
    return 0;
}

static void *take_a_stack(void *argument)
{
    (void)argument;
    take_alternate_away();
    NEED(securemem_signal_stack() == 0);
    return NULL;
}

#define THREADS 40U

static int end_threads(void *argument)
{
    (void)argument;
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, take_a_stack, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    size_t mappings = view_mappings();
    for (unsigned i = 0; i < THREADS; i++) {
        NEED(pthread_create(&thread, NULL, take_a_stack, NULL) == 0);
        NEED(pthread_join(thread, NULL) == 0);
    }
    NEED(view_locked_bytes() == 0);
    NEED(IS_TSAN || view_mappings() < mappings + THREADS);
    return 0;
}

static void a_stack_for_signals_is_locked_guarded_and_given_back(void **state)
{
    (void)state;
    CHILD_PASSES(ask_for_stack, NULL);
    CHILD_PASSES(end_threads, NULL);
}

static int meet_the_limit(void *argument)
{
    (void)argument;
    struct sigaction before[32] = {0}, now[32] = {0};
    set_defaults();
    take_alternate_away();
    if (!child_become_ordinary(view_page_size()))
        return SKIP_EXIT;
    take_actions(before);
    NEED(securemem_wipe_on_fatal_signal(BOTH) == -ENOMEM);
    NEED(securemem_last_error()->limit == view_page_size());
    take_actions(now);
    NEED(same_actions(before, now) && view_locked_bytes() == 0);
    return 0;
}

static void a_limit_is_told_and_no_handler_set(void **state)
{
    (void)state;
    CHILD_PASSES(meet_the_limit, NULL);
}

static int fork_and_die(void *argument)
{
    (void)argument;
    set_defaults();
    make_secret();
    NEED(securemem_wipe_on_fatal_signal(BOTH) == 0);
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        touch_none();
        _exit(0);
    }
    int status;
    NEED(waitpid(child, &status, 0) == child);
    NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && is_whole());
    return 0;
}

static void a_child_that_dies_leaves_its_parents_secrets(void **state)
{
    (void)state;
    CHILD_PASSES(fork_and_die, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_ends_by_the_same_signal_with_the_same_status),
        cmocka_unit_test(the_handler_that_was_there_runs_as_if_alone),
        cmocka_unit_test(what_the_program_ignores_or_handles_to_end_well_wipes_nothing),
        cmocka_unit_test(an_ignored_fault_ends_the_process_as_it_would),
        cmocka_unit_test(what_was_asked_for_is_given_back),
        cmocka_unit_test(a_stack_that_overflowed_is_no_hindrance_where_there_is_another),
        cmocka_unit_test(a_stack_for_signals_is_locked_guarded_and_given_back),
        cmocka_unit_test(a_limit_is_told_and_no_handler_set),
        cmocka_unit_test(a_child_that_dies_leaves_its_parents_secrets),
    };
    return RUN_GROUP(tests);
}
