/* SPDX-License-Identifier: ISC */
#include "attacks/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORBIDDEN 98

static int secrets_in;
static struct subject_page *told_page;

void subject_receive(void *place, size_t length)
{
    char *at = place;
    while (length > 0) {
        ssize_t count = read(secrets_in, at, length);
        attack_require(count > 0, "read");
        at += count;
        length -= (size_t)count;
    }
}

void subject_receive_copies(void *pages)
{
    for (size_t i = 0; i < COPIES; i++)
        subject_receive(copy_at(pages, i), MARKER_BYTES);
}

int subject_descriptor(void)
{
    return secrets_in;
}

void subject_tell(const void *address, size_t length)
{
    attack_require(told_page->count < TOLD_MOST, "too much is told");
    told_page->told[told_page->count++] = (struct told){address, length};
}

void subject_tell_no_more(void)
{
    told_page->count = 0;
}

void subject_pause(void)
{
    raise(SIGSTOP);
}

static void await(struct subject *subject)
{
    while (waitpid(subject->pid, &subject->status, WUNTRACED) < 0)
        if (errno != EINTR)
            abort();
    subject->stop = WIFSTOPPED(subject->status) ? WSTOPSIG(subject->status) : 0;
}

static void prepare(bool traced, int secrets, int words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    secrets_in = secrets;
    dup2(words, STDERR_FILENO);
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0; /* the hard limit stays: a dump is one of the attacks */
        setrlimit(RLIMIT_CORE, &limit);
    }
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* refused for some, which are at their default */
    if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(FORBIDDEN);
    subject_pause();
}

bool subject_start(struct subject *subject, bool traced, void (*body)(const void *),
                   const void *argument)
{
    int secrets[2], words[2];
    if (pipe2(secrets, O_CLOEXEC) != 0 || pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0)
        abort();
    told_page = mmap(NULL, sizeof *told_page, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told_page == MAP_FAILED)
        abort();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        close(secrets[1]);
        prepare(traced, secrets[0], words[1]);
        body(argument);
        _exit(0);
    }
    close(secrets[0]);
    close(words[1]);
    *subject = (struct subject){.pid = pid,
                                .traced = traced,
                                .memory = -1,
                                .secrets = secrets[1],
                                .words = words[0],
                                .page = told_page};
    await(subject);
    if (subject->stop != SIGSTOP) {
        bool forbidden =
            WIFEXITED(subject->status) && WEXITSTATUS(subject->status) == FORBIDDEN;
        subject_end(subject, NULL, 0);
        if (!forbidden)
            fail_msg("the subject did not start: status %#x", subject->status);
        return false;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/mem", (long)pid);
    subject->memory = open(path, O_RDONLY | O_CLOEXEC);
    if (subject->memory < 0)
        fail_msg("%s cannot be opened", path);
    if (traced)
        ptrace(PTRACE_SETOPTIONS, pid, NULL,
               (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    return true;
}

void subject_send(const struct subject *subject, const void *secret, size_t length)
{
    if (write(subject->secrets, secret, length) != (ssize_t)length)
        fail_msg("the subject does not take its secret");
}

void subject_send_copies(const struct subject *subject,
                         const unsigned char marker[MARKER_BYTES])
{
    for (size_t i = 0; i < COPIES; i++)
        subject_send(subject, marker, MARKER_BYTES);
}

/* Pauses and traps are the test's own; any other signal is for the subject. */
static void *signal_for(const struct subject *subject)
{
    int stop = subject->stop;
    bool own = stop == SIGSTOP || stop == SIGTRAP || stop == (SIGTRAP | 0x80);
    return (void *)(long)(own ? 0 : stop);
}

void subject_run(struct subject *subject)
{
    if (subject->traced)
        ptrace(PTRACE_CONT, subject->pid, NULL, signal_for(subject));
    else
        kill(subject->pid, SIGCONT);
    await(subject);
}

void subject_step_syscall(struct subject *subject)
{
    ptrace(PTRACE_SYSCALL, subject->pid, NULL, signal_for(subject));
    await(subject);
}

size_t subject_peek(const struct subject *subject, const void *address, void *out,
                    size_t length)
{
    size_t done = 0, page = view_page_size();
    while (done < length) {
        /* Page by page: one that cannot be read ends no more than itself. */
        uintptr_t at = (uintptr_t)address + done;
        size_t part = page - at % page;
        if (part > length - done)
            part = length - done;
        ssize_t count = pread(subject->memory, (char *)out + done, part, (off_t)at);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

size_t subject_copies(const struct subject *subject,
                      const unsigned char marker[MARKER_BYTES], const void *address,
                      size_t length)
{
    char *bytes = malloc(length);
    assert_non_null(bytes);
    size_t count =
        marker_count(marker, bytes, subject_peek(subject, address, bytes, length));
    free(bytes);
    return count;
}

void subject_end(struct subject *subject, char *words, size_t size)
{
    if (subject->stop != 0) {
        kill(subject->pid, SIGKILL);
        await(subject);
        if (subject->stop != 0)
            await(subject);
    }
    if (words != NULL) {
        size_t length = 0;
        ssize_t count;
        while (length + 1 < size &&
               (count = read(subject->words, words + length, size - 1 - length)) > 0)
            length += (size_t)count;
        words[length] = '\0';
    }
    if (subject->memory >= 0)
        close(subject->memory);
    close(subject->secrets);
    close(subject->words);
    munmap(subject->page, sizeof *subject->page);
}
