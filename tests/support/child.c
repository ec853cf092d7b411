/* SPDX-License-Identifier: ISC */
#include "support/child.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

struct fault_note {
    uintptr_t address;
    int code;
};

static int fault_pipe;

/* Tells the parent where, then dies of the same signal. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct fault_note note = {(uintptr_t)info->si_addr, info->si_code};
    if (write(fault_pipe, &note, sizeof note) != sizeof note)
        _exit(126);
    signal(number, SIG_DFL);
    raise(number);
}

static void prepare_child(int errors, int faults)
{
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0; /* the hard limit stays: it is itself under test */
        setrlimit(RLIMIT_CORE, &core);
    }
    dup2(errors, STDERR_FILENO);
    fault_pipe = faults;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    signal(SIGABRT, SIG_DFL);
}

static void read_all(int descriptor, char *buffer, size_t size)
{
    size_t length = 0;
    char discard[256];
    for (;;) {
        size_t room = size - 1 - length;
        ssize_t count = read(descriptor, room > 0 ? buffer + length : discard,
                             room > 0 ? room : sizeof discard);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        if (room > 0)
            length += (size_t)count;
    }
    buffer[length] = '\0';
}

void child_run(int (*body)(void *argument), void *argument, struct child_end *out)
{
    int errors[2], faults[2];
    if (pipe(errors) != 0 || pipe(faults) != 0)
        abort();
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        close(errors[0]);
        close(faults[0]);
        prepare_child(errors[1], faults[1]);
        _exit(body(argument));
    }
    close(errors[1]);
    close(faults[1]);
    memset(out, 0, sizeof *out);
    read_all(errors[0], out->errors, sizeof out->errors);
    struct fault_note note;
    if (read(faults[0], &note, sizeof note) == sizeof note) {
        out->fault = note.address;
        out->fault_code = note.code;
    }
    close(errors[0]);
    close(faults[0]);
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            abort();
    out->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int child_become_ordinary(uint64_t lock_limit)
{
    struct rlimit limit = {lock_limit, lock_limit};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return 0;
    if (geteuid() != 0)
        return 1;
    /* Leaving root by setresuid drops every capability (capabilities(7)). */
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return 0;
    /* /proc/self stays readable, as after an exec by this user. */
    return prctl(PR_SET_DUMPABLE, 1) == 0;
}
