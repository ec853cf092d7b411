/* SPDX-License-Identifier: ISC */
/* As readpassphrase(3) of OpenBSD does it, for every signal, and for many threads. */
#include "kernel/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "kernel/answer.h"

/* Signals of a terminal: caught also where the program has a handler. */
static const int interactive[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP};

/* What these raise has to end the process before the handler's work is done. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct termios before;       /* how the terminal was */
static struct sigaction old[NSIG];  /* what the program did with signals */
static bool is_caught[NSIG];        /* by this file */
static atomic_bool waiting[NSIG];   /* to be raised again */
static int pipe_ends[2] = {-1, -1}; /* wakes the reader, whichever thread gets a signal */
static atomic_int quiet = -1;       /* the terminal that has no echo now */

int smem_kernel_open_terminal(void)
{
    int errno_before = errno;
    return (int)smem_answer(errno_before, syscall(SYS_openat, AT_FDCWD, "/dev/tty",
                                                  O_RDWR | O_CLOEXEC | O_NOCTTY));
}

int smem_kernel_quiet_terminal(int descriptor)
{
    int errno_before = errno;
    int result = (int)smem_answer(errno_before, tcgetattr(descriptor, &before));
    if (result != 0)
        return result;
    struct termios without = before;
    without.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    without.c_lflag |= ICANON;
    atomic_store(&quiet, descriptor); /* first: a signal may come between the two */
    result = (int)smem_answer(errno_before, tcsetattr(descriptor, TCSAFLUSH, &without));
    if (result != 0)
        atomic_store(&quiet, -1);
    return result;
}

int smem_kernel_restore_terminal(int descriptor)
{
    int errno_before = errno, result;
    do
        result =
            (int)smem_answer(errno_before, tcsetattr(descriptor, TCSAFLUSH, &before));
    while (result == -EINTR && !atomic_load(&waiting[SIGTTOU]));
    atomic_store(&quiet, -1);
    return result;
}

static bool is_among(const int *signals, size_t count, int signal)
{
    for (size_t i = 0; i < count; i++)
        if (signals[i] == signal)
            return true;
    return false;
}

/* Whether its default would end or stop the process. */
static bool is_ending(int signal)
{
    return signal != SIGCHLD && signal != SIGCONT && signal != SIGURG &&
           signal != SIGWINCH && signal != SIGKILL && signal != SIGSTOP;
}

static void on_signal(int signal)
{
    int errno_before = errno, descriptor = atomic_load(&quiet);
    if (!is_among(faults, COUNT(faults), signal)) {
        atomic_store(&waiting[signal], true);
        if (write(pipe_ends[1], "", 1) < 0) /* full: it is awake */
            errno = errno_before;
        return;
    }
    if (descriptor >= 0)
        (void)tcsetattr(descriptor, TCSANOW, &before);
    (void)sigaction(signal, &old[signal], NULL);
    (void)raise(signal); /* delivered when this handler returns */
    errno = errno_before;
}

static bool is_to_be_caught(int signal)
{
    bool has_handler =
        (old[signal].sa_flags & SA_SIGINFO) != 0 ||
        (old[signal].sa_handler != SIG_DFL && old[signal].sa_handler != SIG_IGN);
    bool ignored = !has_handler && old[signal].sa_handler == SIG_IGN;
    if (ignored)
        return false;
    return !has_handler || is_among(interactive, COUNT(interactive), signal);
}

void smem_kernel_release_signals(void)
{
    for (int signal = 1; signal < NSIG; signal++)
        if (is_caught[signal]) {
            (void)sigaction(signal, &old[signal], NULL); /* as it was: it is valid */
            is_caught[signal] = false;
        }
    for (int i = 0; i < 2; i++)
        if (pipe_ends[i] >= 0)
            (void)close(pipe_ends[i]);
    pipe_ends[0] = pipe_ends[1] = -1;
}

int smem_kernel_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    int errno_before = errno;
    int result = (int)smem_answer(errno_before, pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK));
    if (result != 0)
        return result;
    sigfillset(&action.sa_mask);
    for (int signal = 1; signal < NSIG; signal++)
        atomic_store(&waiting[signal], false);
    for (int signal = 1; signal < NSIG; signal++) {
        if (!is_ending(signal) || sigaction(signal, NULL, &old[signal]) != 0 ||
            !is_to_be_caught(signal))
            continue; /* two are the C library's own */
        result = (int)smem_answer(errno_before, sigaction(signal, &action, NULL));
        if (result != 0) {
            smem_kernel_release_signals();
            return result;
        }
        is_caught[signal] = true;
    }
    return 0;
}

static bool is_any_waiting(void)
{
    for (int signal = 1; signal < NSIG; signal++)
        if (atomic_load(&waiting[signal]))
            return true;
    return false;
}

int smem_kernel_wait_terminal(int descriptor)
{
    struct pollfd ends[] = {{.fd = descriptor, .events = POLLIN},
                            {.fd = pipe_ends[0], .events = POLLIN}};
    int errno_before = errno;
    for (;;) {
        if (is_any_waiting())
            return -EINTR;
        int result = (int)smem_answer(errno_before, poll(ends, COUNT(ends), -1));
        if (result < 0 && result != -EINTR)
            return result;
        if (result > 0 && ends[0].revents != 0 && ends[1].revents == 0)
            return 0;
    }
}

bool smem_kernel_raise_signals(bool *caught)
{
    bool stops = false;
    *caught = false;
    for (int signal = 1; signal < NSIG; signal++) {
        if (!atomic_exchange(&waiting[signal], false))
            continue;
        *caught = true;
        stops = stops || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
        (void)kill(getpid(), signal);
    }
    return stops;
}
