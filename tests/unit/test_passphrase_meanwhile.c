/* SPDX-License-Identifier: ISC */
/*
 * What else may happen to a process while it reads a passphrase: stops that nothing can
 * catch, the background, other threads that fault, fork, exit and cancel, and lines that
 * the terminal cuts.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "unit/reader.h"
#include "unit/unit.h"

#define SHOWN 256

static bool slave_echoes(void)
{
    struct termios now;
    NEED(tcgetattr(STDIN_FILENO, &now) == 0);
    return (now.c_lflag & ECHO) != 0;
}

/* In a thread or a process beside the reader. */
static void await_quiet(void)
{
    for (int i = 0; slave_echoes(); i++) {
        NEED(i < READER_TRIES);
        usleep(READER_PAUSE);
    }
}

/* Whoever stopped the process may have turned echo on: a shell does. */
static void a_stop_that_nothing_can_catch_does_not_bring_echo_back(void **state)
{
    (void)state;
    struct reader reader;
    char shown[SHOWN];
    int status;
    reader_start(&reader, reader_read_one);
    reader_wait_for_prompts(&reader, 1);
    assert_int_equal(kill(reader.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(reader.pid, &status, WUNTRACED), reader.pid);
    assert_true(WIFSTOPPED(status));
    reader_set_echo(&reader, true);
    assert_int_equal(kill(reader.pid, SIGCONT), 0);
    reader_wait_for_prompts(&reader, 1);
    assert_false(reader_echoes(&reader));
    reader_type(&reader, READER_LINE "\n");
    reader_wait_for_echo(&reader, true);
    status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_null(strstr(shown, READER_LINE));
}

/*
 * The reader in a group of its own, of which its parent takes the terminal away and wakes
 * it: it may not put the terminal back, and is stopped; it does so when it is let.
 */
static int go_to_the_background(void)
{
    int status;
    NEED(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
    pid_t pid = reader_fork();
    if (pid == 0) {
        NEED(setpgid(0, 0) == 0 && tcsetpgrp(STDIN_FILENO, getpid()) == 0);
        NEED(signal(SIGTTOU, SIG_DFL) != SIG_ERR);
        _exit(reader_read_one());
    }
    await_quiet();
    NEED(tcsetpgrp(STDIN_FILENO, getpid()) == 0 && kill(pid, SIGCONT) == 0);
    NEED(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    NEED(WSTOPSIG(status) == SIGTTOU);
    NEED(!slave_echoes()); /* the control: it is not as before yet */
    NEED(tcsetpgrp(STDIN_FILENO, pid) == 0 && kill(pid, SIGCONT) == 0);
    NEED(waitpid(pid, &status, 0) == pid);
    NEED(slave_echoes());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 9;
}

static void a_reader_in_the_background_puts_the_terminal_back_when_it_may(void **state)
{
    (void)state;
    struct reader reader;
    char shown[SHOWN];
    reader_start(&reader, go_to_the_background);
    reader_wait_for_prompts(&reader, 2);
    reader_type(&reader, READER_LINE "\n");
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *read_in_thread(void *argument)
{
    *(int *)argument = reader_read_one();
    return NULL;
}

static void begin_in_thread(pthread_t *thread, int *result)
{
    NEED(pthread_create(thread, NULL, read_in_thread, result) == 0);
    await_quiet();
}

/* The main thread, which does not read, is the one that the kernel gives signals to. */
static int stop_a_thread(void)
{
    int status;
    NEED(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
    pid_t pid = reader_fork();
    if (pid == 0) {
        int result = 9;
        pthread_t thread;
        NEED(setpgid(0, 0) == 0 && tcsetpgrp(STDIN_FILENO, getpid()) == 0);
        NEED(pthread_create(&thread, NULL, read_in_thread, &result) == 0);
        NEED(pthread_join(thread, NULL) == 0);
        _exit(result);
    }
    await_quiet();
    NEED(kill(pid, SIGTSTP) == 0);
    NEED(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    NEED(slave_echoes());
    NEED(kill(pid, SIGCONT) == 0);
    NEED(waitpid(pid, &status, WUNTRACED) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_thread_that_is_stopped_asks_anew_once(void **state)
{
    (void)state;
    struct reader reader;
    char shown[SHOWN];
    reader_start(&reader, stop_a_thread);
    reader_wait_for_prompts(&reader, 2);
    reader_type(&reader, READER_LINE "\n");
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_null(strstr(shown, READER_PROMPT));
}

/* A child has the handlers of the reader, and no reader that would look at them. */
static int fork_beside_it(void)
{
    const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGSEGV};
    int result = 9, status;
    pthread_t thread;
    begin_in_thread(&thread, &result);
    for (size_t i = 0; i < COUNT(signals); i++) {
        pid_t pid = reader_fork();
        if (pid == 0)
            for (;;)
                pause();
        NEED(kill(pid, signals[i]) == 0);
        NEED(waitpid(pid, &status, 0) == pid);
        NEED(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        NEED(!slave_echoes());
    }
    pid_t pid = reader_fork(); /* what it does with signals is its own */
    if (pid == 0) {
        struct sigaction now;
        setsid();
        NEED(signal(SIGINT, SIG_IGN) != SIG_ERR);
        NEED(securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT) == NULL);
        NEED(errno == ENOTTY);
        NEED(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
        exit(0); /* which has no terminal to put back */
    }
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
    NEED(!slave_echoes());
    NEED(kill(getppid(), SIGUSR2) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    return result;
}

/* Types when the act says by SIGUSR2 that it is done with what it does; its status. */
static int answer_when_told(int (*act)(void))
{
    struct reader reader;
    char shown[SHOWN];
    sigset_t awaited;
    const struct timespec patience = {.tv_sec = 5};
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGUSR2);
    assert_int_equal(sigprocmask(SIG_BLOCK, &awaited, NULL), 0);
    reader_start(&reader, act);
    assert_int_equal(sigtimedwait(&awaited, NULL, &patience), SIGUSR2);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &awaited, NULL), 0);
    reader_type(&reader, READER_LINE "\n");
    return reader_end(&reader, shown, sizeof shown);
}

static void children_that_are_forked_meanwhile_end_as_ever(void **state)
{
    (void)state;
    if (IS_TSAN)
        SKIP(
            "ThreadSanitizer puts a signal off, for good, in a child of several threads");
    assert_int_equal(answer_when_told(fork_beside_it), 0);
}

static int exit_beside_it(void)
{
    int result = 9;
    pthread_t thread;
    begin_in_thread(&thread, &result);
    exit(READER_ENDED);
}

static void fault(void)
{
    volatile int *page =
        mmap(NULL, view_page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED);
    *page = 1;
}

static int fault_beside_it_with_wiping(void)
{
    int result = 9;
    pthread_t thread;
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS |
                                        SECUREMEM_SIGNALS_TERMINATION) == 0);
    begin_in_thread(&thread, &result);
    fault();
    return 9;
}

static int be_ended_with_wiping(void)
{
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS |
                                        SECUREMEM_SIGNALS_TERMINATION) == 0);
    return reader_read_one();
}

/* Wiping that is asked for while a passphrase is read: its handler comes before. */
static int be_ended_with_late_wiping(void)
{
    int result = 9;
    pthread_t thread;
    begin_in_thread(&thread, &result);
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
    NEED(kill(getppid(), SIGUSR2) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    NEED(result == 0);
    raise(SIGSEGV);
    return 9;
}

static int fault_beside_it(void)
{
    int result = 9;
    pthread_t thread;
    begin_in_thread(&thread, &result);
    fault();
    return 9;
}

static void what_ends_by_another_thread_finds_the_terminal_as_before(void **state)
{
    (void)state;
    int (*const acts[])(void) = {exit_beside_it, fault_beside_it,
                                 fault_beside_it_with_wiping};
    for (size_t i = 0; i < COUNT(acts); i++) {
        struct reader reader;
        reader_start(&reader, acts[i]);
        assert_int_equal(
            waitid(P_PID, (id_t)reader.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        assert_true(reader_echoes(&reader)); /* begin_in_thread saw it off */
        char shown[SHOWN];
        int status = reader_end(&reader, shown, sizeof shown);
        if (acts[i] == exit_beside_it)
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == READER_ENDED);
        else
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
}

/* securemem_wipe_on_fatal_signal has a handler of signals that end the process. */
static void wiping_at_the_end_leaves_no_terminal_without_echo(void **state)
{
    (void)state;
    const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                           SIGFPE,  SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM,
                           SIGXCPU, SIGXFSZ, SIGPROF, SIGIO,   SIGPWR,  SIGSYS};
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct reader reader;
        char shown[SHOWN];
        reader_start(&reader, be_ended_with_wiping);
        reader_wait_for_echo(&reader, false);
        assert_int_equal(kill(reader.pid, signals[i]), 0);
        assert_int_equal(
            waitid(P_PID, (id_t)reader.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        if (!reader_echoes(&reader))
            fail_msg("signal %d leaves the terminal without echo", signals[i]);
        int status = reader_end(&reader, shown, sizeof shown);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != signals[i])
            fail_msg("signal %d ends the reader with status %#x", signals[i], status);
    }
}

static void wiping_that_is_asked_for_meanwhile_ends_the_process_too(void **state)
{
    (void)state;
    int status = answer_when_told(be_ended_with_late_wiping);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void *read_and_be_cancelled(void *argument)
{
    *(int *)argument = reader_read_one();
    pthread_testcancel();
    *(int *)argument = 8;
    return NULL;
}

/* A thread that is cancelled while it reads ends when it has read. */
static int cancel_it(void)
{
    int result = 9;
    void *end;
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, read_and_be_cancelled, &result) == 0);
    await_quiet();
    NEED(pthread_cancel(thread) == 0);
    NEED(kill(getppid(), SIGUSR2) == 0);
    NEED(pthread_join(thread, &end) == 0 && end == PTHREAD_CANCELED);
    NEED(slave_echoes());
    return result;
}

static int read_beside_it(void)
{
    int result = 9;
    pthread_t thread;
    begin_in_thread(&thread, &result);
    NEED(securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT) == NULL);
    NEED(errno == EAGAIN);
    NEED(kill(getppid(), SIGUSR2) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    return result;
}

static void neither_cancelling_nor_a_second_reader_disturbs_it(void **state)
{
    (void)state;
    assert_int_equal(answer_when_told(cancel_it), 0);
    assert_int_equal(answer_when_told(read_beside_it), 0);
}

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
    handled = signal;
}

/* An alarm of the program's is the time that it gives its user. */
static int read_with_an_alarm(void)
{
    NEED(signal(SIGALRM, on_signal) != SIG_ERR);
    alarm(1);
    errno = 0;
    NEED(securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT) == NULL);
    NEED(errno == EINTR && handled == SIGALRM);
    NEED(slave_echoes());
    return 0;
}

static void an_alarm_of_the_program_ends_the_wait(void **state)
{
    (void)state;
    struct reader reader;
    char shown[SHOWN];
    reader_start(&reader, read_with_an_alarm);
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define TYPED_MOST 5000

static int read_any(void)
{
    char *secret = securemem_read_passphrase(NULL, READER_PROMPT, 2 * TYPED_MOST);
    if (secret == NULL)
        return errno == EFBIG ? READER_ENDED : 9;
    size_t size = securemem_size(secret);
    for (size_t i = 0; i < size - 1; i++)
        NEED(secret[i] == 'x');
    securemem_free(secret);
    return size == 4095 ? 0 : 8;
}

static void a_line_that_the_terminal_cuts_is_refused(void **state)
{
    (void)state;
    const size_t lengths[] = {4094, 4095, 4096, TYPED_MOST};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct reader reader;
        char line[TYPED_MOST + 2] = {0}, shown[SHOWN];
        memset(line, 'x', lengths[i]);
        line[lengths[i]] = '\n';
        reader_start(&reader, read_any);
        reader_wait_for_prompts(&reader, 1);
        reader_type(&reader, line);
        int status = reader_end(&reader, shown, sizeof shown);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), i == 0 ? 0 : READER_ENDED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_that_nothing_can_catch_does_not_bring_echo_back),
        cmocka_unit_test(a_reader_in_the_background_puts_the_terminal_back_when_it_may),
        cmocka_unit_test(a_thread_that_is_stopped_asks_anew_once),
        cmocka_unit_test(children_that_are_forked_meanwhile_end_as_ever),
        cmocka_unit_test(what_ends_by_another_thread_finds_the_terminal_as_before),
        cmocka_unit_test(wiping_at_the_end_leaves_no_terminal_without_echo),
        cmocka_unit_test(wiping_that_is_asked_for_meanwhile_ends_the_process_too),
        cmocka_unit_test(neither_cancelling_nor_a_second_reader_disturbs_it),
        cmocka_unit_test(an_alarm_of_the_program_ends_the_wait),
        cmocka_unit_test(a_line_that_the_terminal_cuts_is_refused),
    };
    return RUN_GROUP(tests);
}
