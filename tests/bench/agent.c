/* SPDX-License-Identifier: ISC */
/*
 * The figure is examples/agent/beside's, which that example's own check holds to its target:
 * nothing of the agent is linked here, and what is timed is the program that users run.
 */
#include "agent.h"

#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "support/skip.h"

#define NUMBER_BYTES 32

extern char **environ;

#ifdef BENCH_AGENT
static const char *const programs[] = {BENCH_AGENT_BESIDE, BENCH_AGENT};
#else
static const char *const programs[] = {NULL, NULL};
#endif

static int run(char *const argv[])
{
    pid_t pid;
    int status;
    int code = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
    if (code != 0) {
        printf("not measured: %s\n", strerror(code));
        return SKIP_EXIT;
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void agent_print(size_t rounds, double milliseconds)
{
    char rounds_text[NUMBER_BYTES], seconds_text[NUMBER_BYTES];
    char *argv[] = {(char *)(uintptr_t)programs[0], (char *)(uintptr_t)programs[1],
                    rounds_text, seconds_text, NULL};
    printf("\nAn SSH agent: Ed25519 signatures, 100 clients\n\n");
    if (argv[0] == NULL) {
        printf("SKIP: bench: the agent is not built (libssl-dev, SECUREMEM_EXAMPLES)\n");
        return;
    }
    snprintf(rounds_text, sizeof rounds_text, "%zu", rounds);
    snprintf(seconds_text, sizeof seconds_text, "%.3f", milliseconds / 1e3);
    fflush(stdout);
    int status = run(argv);
    if (status != 0 && status != SKIP_EXIT)
        printf("not measured: it ended with %d\n", status);
}
