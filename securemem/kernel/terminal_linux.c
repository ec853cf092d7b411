/* SPDX-License-Identifier: ISC */
/* As readpassphrase(3) of OpenBSD does it, for every signal, and for many threads. */
#include "kernel/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "kernel/answer.h"
#include "kernel/kernel.h"
#include "kernel/poll.h"
#include "kernel/signal.h"

/* Caught also where the program has a handler, which runs when the terminal is back. */
static const int interactive[] = {SIGALRM, SIGHUP,  SIGINT,  SIGPIPE, SIGQUIT,
                                  SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};

/* The process goes on after these. */
static const int passing[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};

/* What these raise has to end the process before the handler's work is done. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct termios before;       /* how the terminal was */
static atomic_int quiet = -1;       /* the terminal that has no echo now */
static atomic_int owner;            /* the process that reads, or read last */
static struct sigaction old[NSIG];  /* what the program did with signals */
static bool is_caught[NSIG];        /* by this file */
static atomic_bool is_catching;     /* what is caught is kept for the reader */
static atomic_int handlers;         /* that run now */
static atomic_bool waiting[NSIG];   /* to be raised again */
static int pipe_ends[2] = {-1, -1}; /* wakes the reader, whichever thread gets a signal */

int smem_kernel_self(void)
{
    return getpid();
}

int smem_kernel_open_terminal(void)
{
    int errno_before = errno;
    atomic_store(&quiet, -1);
    return (int)smem_answer(errno_before, syscall(SYS_openat, AT_FDCWD, "/dev/tty",
                                                  O_RDWR | O_CLOEXEC | O_NOCTTY));
}

static bool is_any_waiting(void)
{
    for (int signal = 1; signal < NSIG; signal++)
        if (atomic_load(&waiting[signal]))
            return true;
    return false;
}

/* Waits for output, so that a signal may come; one of the program's own starts it anew. */
static int set(int descriptor, const struct termios *mode)
{
    int result, errno_before = errno;
    do
        result = (int)smem_answer(errno_before, tcsetattr(descriptor, TCSAFLUSH, mode));
    while (result == -EINTR && !is_any_waiting());
    return result;
}

int smem_kernel_quiet_terminal(int descriptor)
{
    int errno_before = errno;
    if (atomic_load(&quiet) != descriptor) {
        int result = (int)smem_answer(errno_before, tcgetattr(descriptor, &before));
        if (result != 0)
            return result;
    }
    struct termios without = before;
    without.c_iflag |= ICRNL; /* a program may have had lines turned off */
    without.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    without.c_lflag |= ICANON;
    int was_quiet = atomic_exchange(&quiet, descriptor); /* first: a signal may come */
    int result = set(descriptor, &without);
    if (result != 0)
        atomic_store(&quiet, was_quiet);
    return result;
}

int smem_kernel_restore_terminal(int descriptor)
{
    int result;
    do
        result = set(descriptor, &before);
    while (result == -EINTR && !atomic_load(&waiting[SIGTTOU]));
    if (result != -EINTR)
        atomic_store(&quiet, -1);
    return result;
}

/* Without waiting; a part of a line is not left to whoever reads the terminal next. */
static void restore_at_once(void)
{
    int descriptor = atomic_load(&quiet);
    if (descriptor < 0)
        return;
    (void)tcflush(descriptor, TCIFLUSH);
    (void)tcsetattr(descriptor, TCSANOW, &before);
}

/* exit(3) beside the reader, or by a handler of the program's. */
__attribute__((destructor)) static void restore_at_exit(void)
{
    if (atomic_load(&owner) == getpid())
        restore_at_once();
}

static bool is_among(const int *signals, size_t count, int signal)
{
    for (size_t i = 0; i < count; i++)
        if (signals[i] == signal)
            return true;
    return false;
}

/* To what was there before, with all that is known of it, when this handler returns. */
static void pass_on(int signal, siginfo_t *info)
{
    (void)sigaction(signal, &old[signal], NULL);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), signal, info) != 0)
        (void)raise(signal);
}

static void on_own_signal(int signal, siginfo_t *info)
{
    if (!atomic_load(&is_catching)) { /* released, or who caught it later passes it on */
        pass_on(signal, info);
    } else if (is_among(faults, COUNT(faults), signal)) {
        restore_at_once();
        pass_on(signal, info);
    } else {
        atomic_store(&waiting[signal], true);
        (void)syscall(SYS_write, pipe_ends[1], "", 1UL); /* full, the reader is awake */
    }
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    int errno_before = errno;
    (void)context;
    if (atomic_load(&owner) != getpid()) { /* a child, which may share this memory */
        pass_on(signal, info);
    } else {
        atomic_fetch_add(&handlers, 1);
        on_own_signal(signal, info);
        atomic_fetch_sub(&handlers, 1);
    }
    errno = errno_before;
}

/* Whether its default would end or stop the process, and a handler would be called. */
static bool is_ending(int signal)
{
    return signal != SIGCHLD && signal != SIGURG && signal != SIGWINCH &&
           signal != SIGKILL && signal != SIGSTOP;
}

static bool is_to_be_caught(int signal)
{
    if (!is_among(interactive, COUNT(interactive), signal))
        return smem_kernel_ends_as_default(signal) == 1;
    return old[signal].sa_handler != SIG_IGN || signal == SIGCONT; /* goes on even then */
}

/* Where the program has set another handler meanwhile, that one stays. */
static void put_back(void)
{
    struct sigaction now;
    for (int signal = 1; signal < NSIG; signal++) {
        if (is_caught[signal] && sigaction(signal, NULL, &now) == 0 &&
            (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_signal)
            (void)sigaction(signal, &old[signal], NULL); /* as it was: it is valid */
        is_caught[signal] = false;
    }
}

void smem_kernel_release_signals(void)
{
    put_back();
    atomic_store(&is_catching, false);
    while (atomic_load(&handlers) != 0) /* in other threads */
        smem_kernel_yield();
    for (int i = 0; i < 2; i++)
        (void)smem_kernel_close(pipe_ends[i]);
}

/* A child has its own handlers, and none that runs; the pipe may be its no more. */
static void disinherit(void)
{
    if (atomic_load(&owner) == getpid())
        return;
    put_back();
    atomic_store(&handlers, 0);
    atomic_store(&owner, getpid());
}

int smem_kernel_catch_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int errno_before = errno;
    disinherit();
    int result = (int)smem_answer(errno_before, pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK));
    if (result != 0)
        return result;
    (void)sigfillset(&action.sa_mask); /* never fails */
    for (int signal = 1; signal < NSIG; signal++) {
        atomic_store(&waiting[signal], false);
        is_caught[signal] = is_ending(signal) &&
                            sigaction(signal, NULL, &old[signal]) == 0 &&
                            is_to_be_caught(signal); /* two are the C library's own */
    }
    atomic_store(&is_catching, true);
    for (int signal = 1; signal < NSIG && result == 0; signal++)
        if (is_caught[signal])
            result = (int)smem_answer(errno_before, sigaction(signal, &action, NULL));
    if (result != 0)
        smem_kernel_release_signals();
    errno = errno_before;
    return result;
}

int smem_kernel_wait_terminal(int descriptor)
{
    struct pollfd ends[] = {{.fd = descriptor, .events = POLLIN},
                            {.fd = pipe_ends[0], .events = POLLIN}};
    for (;;) {
        if (is_any_waiting())
            return -EINTR;
        int result = smem_poll(ends, COUNT(ends));
        if (result < 0 && result != -EINTR)
            return result;
        if (result > 0 && ends[0].revents != 0 && ends[1].revents == 0)
            return 0;
    }
}

/* To this thread, so that it is delivered before this returns; blocked here, to any. */
static void raise_again(int signal)
{
    sigset_t blocked;
    if (pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 &&
        sigismember(&blocked, signal) == 0)
        (void)raise(signal);
    else
        (void)kill(getpid(), signal);
}

bool smem_kernel_raise_signals(bool *caught)
{
    bool goes_on = true;
    *caught = false;
    for (int signal = 1; signal < NSIG; signal++)
        if (atomic_exchange(&waiting[signal], false)) {
            *caught = true;
            goes_on = goes_on && is_among(passing, COUNT(passing), signal);
            raise_again(signal);
        }
    return *caught && goes_on;
}
