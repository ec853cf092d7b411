/* SPDX-License-Identifier: ISC */
/*
 * A passphrase typed at a pseudo-terminal: the terminal itself is asked for its echo, also
 * after each signal that ends or stops the reader.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "unit/unit.h"

#define LIMIT  32
#define PROMPT "say it: "

#define TRIES   2000
#define SECONDS 20   /* that no reader outlives */
#define PAUSE   1000 /* microseconds */
#define ENDED   3    /* the reader got a refusal that it expected */

struct reader {
    pid_t pid;
    int master;
};

/* What the reader does at its terminal; it exits with what that returns. */
typedef int act(void);

static void start(struct reader *reader, act *do_it)
{
    char *name;
    reader->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(reader->master >= 0);
    assert_int_equal(grantpt(reader->master) | unlockpt(reader->master), 0);
    name = ptsname(reader->master);
    assert_non_null(name);
    reader->pid = fork();
    assert_true(reader->pid >= 0);
    if (reader->pid != 0)
        return;
    const struct rlimit none = {0, 0};
    setsid();
    alarm(SECONDS);
    int slave = open(name, O_RDWR); /* becomes the terminal of the session */
    NEED(slave >= 0 && setrlimit(RLIMIT_CORE, &none) == 0);
    NEED(ioctl(slave, TIOCSCTTY, 0) == 0 && dup2(slave, STDIN_FILENO) == 0);
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            NEED(sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL) ==
                 0);
    _exit(do_it());
}

static bool echoes(const struct reader *reader)
{
    struct termios now;
    assert_int_equal(tcgetattr(reader->master, &now), 0);
    return (now.c_lflag & ECHO) != 0;
}

/* The control: the reader has turned it off. */
static void wait_for_echo(const struct reader *reader, bool echo)
{
    for (int i = 0; i < TRIES; i++) {
        if (echoes(reader) == echo)
            return;
        usleep(PAUSE);
    }
    fail_msg("the terminal's echo stays %s", echo ? "off" : "on");
}

static void type(const struct reader *reader, const char *text)
{
    assert_int_equal(write(reader->master, text, strlen(text)), strlen(text));
}

/* Its status; what it wrote to its terminal goes to shown. */
static int end(struct reader *reader, char *shown, size_t size)
{
    int status;
    assert_int_equal(waitpid(reader->pid, &status, 0), reader->pid);
    size_t length = 0;
    fcntl(reader->master, F_SETFL, O_NONBLOCK);
    for (ssize_t got; length < size - 1 && (got = read(reader->master, shown + length,
                                                       size - 1 - length)) > 0;)
        length += (size_t)got;
    shown[length] = '\0';
    close(reader->master);
    return status;
}

static int read_one(void)
{
    errno = 0;
    char *secret = securemem_read_passphrase(NULL, PROMPT, LIMIT);
    if (secret == NULL)
        return errno == EFBIG || errno == ENODATA ? ENDED : 2;
    int right = strcmp(secret, "open sesame") == 0 && securemem_size(secret) == 12;
    securemem_free(secret);
    return right ? 0 : 4;
}

static void a_line_is_read_without_echo_and_the_terminal_is_as_before(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    start(&reader, read_one);
    wait_for_echo(&reader, false);
    type(&reader, "open sesamy\177e\n"); /* one character erased */
    wait_for_echo(&reader, true);
    int status = end(&reader, shown, sizeof shown);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_non_null(strstr(shown, PROMPT));
    assert_null(strstr(shown, "sesam"));
}

static void too_long_a_line_and_none_are_refused(void **state)
{
    (void)state;
    const char *typed[] = {"0123456789012345678901234567890123456789\n", "\004"};
    for (size_t i = 0; i < COUNT(typed); i++) {
        struct reader reader;
        char shown[256];
        start(&reader, read_one);
        wait_for_echo(&reader, false);
        type(&reader, typed[i]);
        wait_for_echo(&reader, true);
        int status = end(&reader, shown, sizeof shown);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ENDED);
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
        start(&reader, read_one);
        wait_for_echo(&reader, false);
        assert_int_equal(kill(reader.pid, signal), 0);
        int status;
        assert_int_equal(
            waitid(P_PID, (id_t)reader.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        if (!echoes(&reader))
            fail_msg("signal %d leaves the terminal without echo", signal);
        status = end(&reader, shown, sizeof shown);
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
    pid_t pid = fork();
    if (pid == 0) {
        NEED(setpgid(0, 0) == 0 && tcsetpgrp(STDIN_FILENO, getpid()) == 0);
        NEED(signal(SIGTTOU, SIG_DFL) != SIG_ERR);
        _exit(read_one());
    }
    struct termios now;
    for (int i = 0; i < TRIES; i++) {
        NEED(tcgetattr(STDIN_FILENO, &now) == 0);
        if ((now.c_lflag & ECHO) == 0)
            break;
        usleep(PAUSE);
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

/* Reads what is shown until the prompt stands there so many times. */
static void wait_for_prompts(const struct reader *reader, int count)
{
    char shown[1024];
    size_t length = 0;
    while (count > 0 && length < sizeof shown - 1) {
        ssize_t got = read(reader->master, shown + length, 1);
        assert_int_equal(got, 1);
        shown[++length] = '\0';
        if (length >= strlen(PROMPT) &&
            strcmp(shown + length - strlen(PROMPT), PROMPT) == 0)
            count--;
    }
    assert_int_equal(count, 0);
}

static void a_reader_that_is_stopped_asks_anew(void **state)
{
    (void)state;
    const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < COUNT(stops); i++) {
        struct reader reader;
        char shown[256];
        stop_signal = stops[i];
        start(&reader, stop_and_go_on);
        wait_for_prompts(&reader, 2);
        type(&reader, "open sesame\n");
        int status = end(&reader, shown, sizeof shown);
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
    NEED(securemem_read_passphrase(NULL, PROMPT, LIMIT) == NULL && errno == EINTR);
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
    start(&reader, read_with_a_handler);
    wait_for_echo(&reader, false);
    type(&reader, "\003"); /* what a terminal makes SIGINT of */
    wait_for_echo(&reader, true);
    int status = end(&reader, shown, sizeof shown);
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
    NEED(securemem_read_passphrase(NULL, PROMPT, LIMIT) == NULL && errno == EINTR);
    sleep(SECONDS); /* the other thread ends the process */
    return 0;
}

static void a_signal_that_another_thread_gets_counts_too(void **state)
{
    (void)state;
    struct reader reader;
    char shown[256];
    start(&reader, read_beside_threads);
    wait_for_echo(&reader, false);
    assert_int_equal(kill(reader.pid, SIGTERM), 0);
    int status = end(&reader, shown, sizeof shown);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static int without_terminal(void *argument)
{
    (void)argument;
    setsid();
    NEED(securemem_read_passphrase(NULL, PROMPT, LIMIT) == NULL && errno == ENOTTY);
    NEED(strstr(securemem_last_error()->message, "no terminal") != NULL);
    NEED(securemem_read_passphrase(NULL, NULL, LIMIT) == NULL && errno == EINVAL);
    NEED(securemem_read_passphrase(NULL, PROMPT, 0) == NULL && errno == EINVAL);
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
        cmocka_unit_test(too_long_a_line_and_none_are_refused),
        cmocka_unit_test(each_signal_that_ends_the_reader_finds_the_terminal_as_before),
        cmocka_unit_test(a_reader_that_is_stopped_asks_anew),
        cmocka_unit_test(a_handler_of_the_program_is_called_afterwards),
        cmocka_unit_test(a_signal_that_another_thread_gets_counts_too),
        cmocka_unit_test(without_a_terminal_it_is_refused),
    };
    return RUN_GROUP(tests);
}
