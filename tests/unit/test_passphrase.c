/* SPDX-License-Identifier: ISC */
/*
 * A passphrase typed at a pseudo-terminal: the terminal itself is asked for its echo, also
 * after each signal that ends or stops the reader.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "unit/reader.h"
#include "unit/unit.h"

static void a_line_is_read_without_echo_and_the_terminal_is_as_before(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    reader_start(&reader, reader_read_one);
    reader_wait_for_echo(&reader, false);
    reader_type(&reader, "open sesamy\177e\n"); /* one character erased */
    reader_wait_for_echo(&reader, true);
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_non_null(strstr(shown, READER_PROMPT));
    assert_null(strstr(shown, "sesam"));
}

static int read_two(void)
{
    int first = reader_read_one();
    return first != 0 ? first : reader_read_one();
}

static void one_is_read_after_the_other(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    reader_start(&reader, read_two);
    reader_wait_for_prompts(&reader, 1);
    reader_type(&reader, READER_LINE "\n");
    reader_wait_for_prompts(&reader, 1);
    reader_type(&reader, READER_LINE "\n");
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* As an editor leaves it: no lines, no newline for a return, newlines shown. */
static int read_from_a_raw_terminal(void)
{
    struct termios raw, now;
    NEED(tcgetattr(STDIN_FILENO, &raw) == 0);
    raw.c_iflag &= ~(tcflag_t)ICRNL;
    raw.c_lflag &= ~(tcflag_t)ICANON;
    raw.c_lflag |= ECHONL;
    NEED(tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0);
    int result = reader_read_one();
    NEED(tcgetattr(STDIN_FILENO, &now) == 0);
    NEED(now.c_iflag == raw.c_iflag && now.c_lflag == raw.c_lflag &&
         now.c_oflag == raw.c_oflag && now.c_cflag == raw.c_cflag);
    return result;
}

static void a_line_is_read_from_a_terminal_that_knows_none(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    reader_start(&reader, read_from_a_raw_terminal);
    reader_wait_for_prompts(&reader, 1);
    reader_type(&reader, "open sesamy\177e\r");
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(shown, "\r\n"); /* the reader's own */
}

static void too_long_a_line_and_none_are_refused(void **state)
{
    (void)state;
    const char *typed[] = {"0123456789012345678901234567890123456789\n", "\004"};
    for (size_t i = 0; i < COUNT(typed); i++) {
        struct reader reader;
        char shown[256];
        reader_start(&reader, reader_read_one);
        reader_wait_for_echo(&reader, false);
        reader_type(&reader, typed[i]);
        reader_wait_for_echo(&reader, true);
        int status = reader_end(&reader, shown, sizeof shown);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == READER_ENDED);
    }
}

static bool ends(int signal)
{
    return signal != SIGCHLD && signal != SIGCONT && signal != SIGURG &&
           signal != SIGWINCH && signal != SIGKILL && signal != SIGSTOP &&
           signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU;
}

static void each_signal_that_ends_the_reader_finds_the_terminal_as_before(void **state)
{
    (void)state;
    for (int signal = 1; signal < 32; signal++) {
        if (!ends(signal))
            continue;
        struct reader reader;
        char shown[256];
        reader_start(&reader, reader_read_one);
        reader_wait_for_echo(&reader, false);
        assert_int_equal(kill(reader.pid, signal), 0);
        int status;
        assert_int_equal(
            waitid(P_PID, (id_t)reader.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        if (!reader_echoes(&reader))
            fail_msg("signal %d leaves the terminal without echo", signal);
        status = reader_end(&reader, shown, sizeof shown);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != signal)
            fail_msg("signal %d ends the reader with status %#x", signal, status);
    }
}

static int stop_signal;

/*
 * The reader in a group of its own, in the foreground, with somebody in its session who
 * can wake it: only such a one is stopped by its terminal's signals. This one sees how the
 * terminal is meanwhile.
 */
static int stop_and_go_on(void)
{
    int status, stops = 0;
    NEED(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
    pid_t pid = reader_fork();
    if (pid == 0) {
        NEED(setpgid(0, 0) == 0 && tcsetpgrp(STDIN_FILENO, getpid()) == 0);
        NEED(signal(SIGTTOU, SIG_DFL) != SIG_ERR);
        _exit(reader_read_one());
    }
    struct termios now;
    for (int i = 0; i < READER_TRIES; i++) {
        NEED(tcgetattr(STDIN_FILENO, &now) == 0);
        if ((now.c_lflag & ECHO) == 0)
            break;
        usleep(READER_PAUSE);
    }
    NEED((now.c_lflag & ECHO) == 0);
    NEED(kill(pid, stop_signal) == 0);
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        NEED(WSTOPSIG(status) == stop_signal);
        NEED(tcgetattr(STDIN_FILENO, &now) == 0 && (now.c_lflag & ECHO) != 0);
        NEED(++stops == 1 && kill(pid, SIGCONT) == 0);
    }
    return stops == 1 && WIFEXITED(status) ? WEXITSTATUS(status) : 9;
}

static void a_reader_that_is_stopped_asks_anew(void **state)
{
    (void)state;
    const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < COUNT(stops); i++) {
        struct reader reader;
        char shown[256];
        stop_signal = stops[i];
        reader_start(&reader, stop_and_go_on);
        reader_wait_for_prompts(&reader, 2);
        reader_type(&reader, "open sesame\n");
        int status = reader_end(&reader, shown, sizeof shown);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("signal %d: status %#x", stops[i], status);
    }
}

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
    handled = signal;
}

/* A program's own handler runs, once the terminal is as before, and the call says EINTR. */
static int read_with_a_handler(void)
{
    NEED(sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL) == 0);
    NEED(securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT) == NULL &&
         errno == EINTR);
    NEED(handled == SIGINT);
    struct sigaction now;
    NEED(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == on_signal);
    NEED(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    return 0;
}

static void a_handler_of_the_program_is_called_afterwards(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    reader_start(&reader, read_with_a_handler);
    reader_wait_for_echo(&reader, false);
    reader_type(&reader, "\003"); /* what a terminal makes SIGINT of */
    reader_wait_for_echo(&reader, true);
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *sleep_on(void *argument)
{
    while (argument == NULL)
        pause(); /* a handler ends one */
    return NULL;
}

/* The signal may be another thread's, which reads nothing. */
static int read_beside_threads(void)
{
    pthread_t thread;
    sigset_t all;
    NEED(pthread_create(&thread, NULL, sleep_on, NULL) == 0);
    sigfillset(&all);
    NEED(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    NEED(securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT) == NULL &&
         errno == EINTR);
    pause(); /* the other thread ends the process */
    return 0;
}

static void a_signal_that_another_thread_gets_counts_too(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    reader_start(&reader, read_beside_threads);
    reader_wait_for_echo(&reader, false);
    assert_int_equal(kill(reader.pid, SIGTERM), 0);
    int status = reader_end(&reader, shown, sizeof shown);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static int without_terminal(void *argument)
{
    (void)argument;
    setsid();
    NEED(securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT) == NULL &&
         errno == ENOTTY);
    NEED(strstr(securemem_last_error()->message, "no terminal") != NULL);
    NEED(securemem_read_passphrase(NULL, NULL, READER_LIMIT) == NULL && errno == EINVAL);
    NEED(securemem_read_passphrase(NULL, READER_PROMPT, 0) == NULL && errno == EINVAL);
    return 0;
}

static void without_a_terminal_it_is_refused(void **state)
{
    (void)state;
    CHILD_PASSES(without_terminal, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_read_without_echo_and_the_terminal_is_as_before),
        cmocka_unit_test(one_is_read_after_the_other),
        cmocka_unit_test(a_line_is_read_from_a_terminal_that_knows_none),
        cmocka_unit_test(too_long_a_line_and_none_are_refused),
        cmocka_unit_test(each_signal_that_ends_the_reader_finds_the_terminal_as_before),
        cmocka_unit_test(a_reader_that_is_stopped_asks_anew),
        cmocka_unit_test(a_handler_of_the_program_is_called_afterwards),
        cmocka_unit_test(a_signal_that_another_thread_gets_counts_too),
        cmocka_unit_test(without_a_terminal_it_is_refused),
    };
    return RUN_GROUP(tests);
}
