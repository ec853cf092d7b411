/* SPDX-License-Identifier: ISC */
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM      "/usr/bin/ssh-askpass"
#define ANSWER_BYTES 8U /* "yes" and what shows that there is more */

extern char **environ;

static unsigned asked; /* programs that run */

bool ask_is_free(void)
{
    return asked == 0;
}

/* Its descriptors are the answer's pipe and /dev/null; it has no signal blocked. */
static int spawn(pid_t *pid, const char *question, int answer)
{
    const char *program = getenv("SSH_ASKPASS");
    char *name = (char *)(uintptr_t)(program != NULL ? program : PROGRAM);
    char *argv[] = {name, (char *)(uintptr_t)question, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none;
    (void)sigemptyset(&none);
    int code = posix_spawn_file_actions_init(&files);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&how);
    if (code != 0)
        goto destroy_files;
    if ((code = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)) ==
            0 &&
        (code = posix_spawn_file_actions_adddup2(&files, answer, 1)) == 0 &&
        (code = posix_spawnattr_setsigmask(&how, &none)) == 0 &&
        (code = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK)) == 0)
        code = posix_spawn(pid, name, &files, &how, argv, environ);
    (void)posix_spawnattr_destroy(&how);
destroy_files:
    (void)posix_spawn_file_actions_destroy(&files);
    return code;
}

/* The status of a program that has ended; false: there is none. */
static bool reap(pid_t pid, int *status)
{
    pid_t got;
    do
        got = waitpid(pid, status, 0);
    while (got < 0 && errno == EINTR);
    return got == pid;
}

static void end(pid_t pid)
{
    int status;
    if (kill(pid, SIGKILL) ==
        0) /* what could not be ended would be waited for for ever */
        (void)reap(pid, &status);
}

/* posix_spawn(3) shares memory with the child until it executes: no secret is copied. */
bool ask_start(struct ask *ask, const char *question)
{
    int answer[2];
    pid_t pid = 0;
    if (setenv("SSH_ASKPASS_PROMPT", "confirm", 1) != 0 || pipe2(answer, O_CLOEXEC) != 0)
        return false;
    /* Its end blocks, as a program expects; what it starts could hold it open for ever. */
    int code = fcntl(answer[0], F_SETFL, O_NONBLOCK) == 0
                   ? spawn(&pid, question, answer[1])
                   : errno;
    (void)close(answer[1]);
    if (code != 0)
        goto close_answer;
    int ended = pidfd_open(pid, 0); /* Linux 5.3; close-on-exec */
    if (ended < 0)
        goto end_program;
    *ask = (struct ask){.pid = pid, .ended = ended, .answer = answer[0]};
    asked++;
    return true;

end_program:
    end(pid);
close_answer:
    (void)close(answer[0]);
    return false;
}

static void forget(struct ask *ask)
{
    (void)close(ask->ended);
    (void)close(ask->answer);
    *ask = ASK_NONE;
    asked--;
}

bool ask_finish(struct ask *ask)
{
    int status = 0;
    char text[ANSWER_BYTES] = {0};
    bool ended = reap(ask->pid, &status);
    ssize_t got = read(ask->answer, text, sizeof text - 1);
    bool ended_well = ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    forget(ask);
    if (!ended_well || got < 0)
        return false;
    text[strcspn(text, "\r\n")] = '\0';
    return text[0] == '\0' || strcasecmp(text, "yes") == 0;
}

void ask_cancel(struct ask *ask)
{
    if (ask->pid == 0)
        return;
    end(ask->pid);
    forget(ask);
}
