/* SPDX-License-Identifier: ISC */
#include "faults/agent/life.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/start.h"
#include "faults/agent/held.h"
#include "faults/agent/talk.h"
#include "faults/agent/turns.h"
#include "support/need.h"

#define FOLDER_ENTRIES 3 /* ., .. and silent */
#define DESCRIPTORS    8 /* open at once, at most */
#define SAID_MOST      256
#define TIME_MOST      60 /* seconds: it hangs */

static char socket_path[128];

static unsigned count_entries(const char *path)
{
    unsigned count = 0;
    DIR *folder = opendir(path);
    NEED(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* The command beside the agent is this: it ends when the client has, or the agent. */
int __real_execvp(const char *file, char *const argv[]);
int __wrap_execvp(const char *file, char *const argv[]);
int __wrap_execvp(const char *file, char *const argv[])
{
    (void)file;
    (void)argv;
    if (fault_take("execvp", 1) >= 0) {
        errno = ENOENT;
        return -1;
    }
    siginfo_t ended = {0};
    for (unsigned i = 0; i < 10000 && !faults->finished && ended.si_pid == 0; i++) {
        (void)waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
        usleep(1000);
    }
    _exit(0);
}

/* A start that is refused says so, in one line; but not to a starter who is gone. */
static void check_words(int said)
{
    char words[SAID_MOST] = {0};
    ssize_t size = pread(said, words, sizeof words - 1, 0);
    if (size < 12 || strncmp(words, "agent: ", 7) != 0 || strchr(words, '\n') == NULL ||
        strchr(words, '\n')[1] != '\0')
        talk_violation("it ends without a sentence");
}

static bool was(const char *name)
{
    return faults->hit && strcmp(faults->hit_name, name) == 0;
}

/* An agent that was running may end of itself where it can wait, or tell the time, no more. */
static void check_end(int status, int said, bool is_here)
{
    if (status != 0 && !was("write"))
        check_words(said);
    if (!faults->hit && (status != 0 || !faults->finished))
        talk_violation("it fails by itself");
    if (faults->plan.side == FAULT_STARTER)
        return; /* what was started ends with it */
    if (faults->served && !faults->finished && !was("epoll_wait") &&
        !was("clock_gettime"))
        talk_violation("it ends while it is needed");
    if (!faults->served && status == 0 && is_here)
        talk_violation("it ends as if nothing had happened");
}

static void check_held(unsigned descriptors)
{
    if (held.opened != 0 || held.sealed != 0)
        talk_violation("keys are left at its end");
    if (held.heap != 0)
        talk_violation("memory is left at its end");
    if (count_entries("/proc/self/fd") != descriptors + talk_open)
        talk_violation("descriptors are left at its end");
    if (waitpid(-1, NULL, WNOHANG) >= 0 && !was("kill"))
        talk_violation("a question is left at its end");
}

/* Those who were started have ended, well or with a sentence. */
static void check_children(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, 0)) > 0)
        if ((!WIFEXITED(status) || WEXITSTATUS(status) > 1) &&
            !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) /* its starter's */
            talk_violation("the agent in the background does not end well");
}

/* A question that nobody answers; its file is empty once it is put. */
static void make_silent(const char *path)
{
    char name[128];
    snprintf(name, sizeof name, "%s/silent", path);
    FILE *file = fopen(name, "we");
    NEED(file != NULL &&
         fputs("#!/bin/sh\nkill -0 $$ >\"$0\"\nexec sleep 3\n", file) >= 0);
    NEED(fclose(file) == 0 && chmod(name, S_IRWXU) == 0 &&
         setenv("SILENT", name, 1) == 0);
}

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *where)
{
    (void)status;
    (void)type;
    return where->level == 0 ? 0 : remove(path);
}

static void clear_folder(const char *path)
{
    NEED(nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0);
}

bool life_is_clean(const struct life *life)
{
    bool clean = count_entries(life->folder) <= FOLDER_ENTRIES;
    clear_folder(life->folder);
    return clean || was("unlink") || was("rmdir");
}

int life_run(void *argument)
{
    struct life *life = argument;
    char *command[] = {(char *)(uintptr_t) "command", NULL};
    int said = memfd_create("said", MFD_CLOEXEC);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    talk_errors = dup(STDERR_FILENO);
    NEED(said >= 0 && talk_errors >= 0 && null >= 0);
    NEED(dup2(null, STDOUT_FILENO) >= 0 && dup2(said, STDERR_FILENO) >= 0);
    clear_folder(life->folder); /* what a trial left that ended early */
    make_silent(life->folder);
    NEED(setenv("TMPDIR", life->folder, 1) == 0);
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    alarm(TIME_MOST);
    bool is_here = life->kind == LIFE_HERE;
    struct options options = {.foreground = is_here,
                              .command = life->kind == LIFE_BESIDE ? command : NULL};
    snprintf(socket_path, sizeof socket_path, "%s/ssh-*/agent.*", life->folder);
    faults->plan = life->plan;
    faults->hit = faults->served = faults->finished = false;
    faults->refusals = 0;
    memset(faults->counts, 0, sizeof faults->counts);
    held = (struct held){.ignores_close = life->ignores_close,
                         .ignores_wipe = life->ignores_wipe};
    talk_notary = life->notary;
    talk_socket = socket_path;
    turns_plan(life->script, life->kind == LIFE_BESIDE);
    fault_side = is_here ? FAULT_AGENT : FAULT_STARTER;
    unsigned descriptors = count_entries("/proc/self/fd");
    faults->armed = fault_counts = true;
    int status = start(&options);
    faults->armed = fault_counts = false;
    if (is_here)
        check_held(descriptors);
    else if (status == 0 || life->kind == LIFE_BEHIND)
        check_children(); /* a companion is waited for by the agent */
    check_end(status, said, is_here);
    return 0;
}
