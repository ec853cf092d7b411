/* SPDX-License-Identifier: ISC */
#include "attacks/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void guard(int life, int (*restore)(const void *), const void *argument)
{
    static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        signal(endings[i], SIG_IGN);
    (void)setsid(); /* out of reach of the terminal's signals */
    char byte;
    ssize_t count;
    while ((count = read(life, &byte, 1)) > 0 || (count < 0 && errno == EINTR))
        continue;
    _exit(restore(argument));
}

void guardian_start(struct guardian *guardian, int (*restore)(const void *),
                    const void *argument)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        abort();
    guardian->pid = fork();
    if (guardian->pid < 0)
        abort();
    if (guardian->pid == 0) {
        close(ends[1]);
        guard(ends[0], restore, argument);
    }
    close(ends[0]);
    guardian->life = ends[1];
}

int guardian_finish(struct guardian *guardian)
{
    int status;
    close(guardian->life);
    while (waitpid(guardian->pid, &status, 0) < 0)
        if (errno != EINTR)
            abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
