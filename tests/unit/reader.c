/* SPDX-License-Identifier: ISC */
#include "unit/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "unit/unit.h"

#define SECONDS 20 /* that no reader outlives */

/* So that a failure leaves no process behind. */
static void outlive_no_test(void)
{
    NEED(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    alarm(SECONDS);
}

pid_t reader_fork(void)
{
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0)
        outlive_no_test();
    return pid;
}

void reader_start(struct reader *reader, int (*act)(void))
{
    char *name;
    reader->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(reader->master >= 0);
    assert_int_equal(grantpt(reader->master) | unlockpt(reader->master), 0);
    name = ptsname(reader->master);
    assert_non_null(name);
    reader->pid = reader_fork();
    if (reader->pid != 0)
        return;
    const struct rlimit none = {0, 0};
    setsid();
    int slave = open(name, O_RDWR); /* becomes the terminal of the session */
    NEED(slave >= 0 && setrlimit(RLIMIT_CORE, &none) == 0);
    NEED(ioctl(slave, TIOCSCTTY, 0) == 0 && dup2(slave, STDIN_FILENO) == 0);
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            NEED(sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL) ==
                 0);
    _exit(act());
}

bool reader_echoes(const struct reader *reader)
{
    struct termios now;
    assert_int_equal(tcgetattr(reader->master, &now), 0);
    return (now.c_lflag & ECHO) != 0;
}

void reader_set_echo(const struct reader *reader, bool echo)
{
    struct termios mode;
    assert_int_equal(tcgetattr(reader->master, &mode), 0);
    if (echo)
        mode.c_lflag |= ECHO;
    else
        mode.c_lflag &= ~(tcflag_t)ECHO;
    assert_int_equal(tcsetattr(reader->master, TCSANOW, &mode), 0);
}

void reader_wait_for_echo(const struct reader *reader, bool echo)
{
    for (int i = 0; i < READER_TRIES; i++) {
        if (reader_echoes(reader) == echo)
            return;
        usleep(READER_PAUSE);
    }
    fail_msg("the terminal's echo stays %s", echo ? "off" : "on");
}

void reader_wait_for_prompts(const struct reader *reader, int count)
{
    char shown[1024];
    size_t length = 0;
    while (count > 0 && length < sizeof shown - 1) {
        struct pollfd end = {.fd = reader->master, .events = POLLIN};
        if (poll(&end, 1, READER_TRIES) != 1)
            fail_msg("%d more prompts do not come", count);
        assert_int_equal(read(reader->master, shown + length, 1), 1);
        shown[++length] = '\0';
        if (length >= strlen(READER_PROMPT) &&
            strcmp(shown + length - strlen(READER_PROMPT), READER_PROMPT) == 0)
            count--;
    }
    assert_int_equal(count, 0);
}

void reader_type(const struct reader *reader, const char *text)
{
    assert_int_equal(write(reader->master, text, strlen(text)), strlen(text));
}

int reader_end(struct reader *reader, char *shown, size_t size)
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

int reader_read_one(void)
{
    errno = 0;
    char *secret = securemem_read_passphrase(NULL, READER_PROMPT, READER_LIMIT);
    if (secret == NULL)
        return errno == EFBIG || errno == ENODATA ? READER_ENDED : 2;
    bool right =
        strcmp(secret, READER_LINE) == 0 && securemem_size(secret) == sizeof READER_LINE;
    securemem_free(secret);
    return right ? 0 : 4;
}
