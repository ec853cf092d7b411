/* SPDX-License-Identifier: ISC */
/*
 * The first process of a virtual machine: mounts what tests need, runs the programs of
 * /programs one after another, each line a command, and powers the machine off. It is
 * linked statically. What it says to the host begins with "VM: " (boot.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_WORDS 8

static void mount_at(const char *path, const char *type)
{
    mkdir(path, 0755);
    if (mount(type, path, type, 0, NULL) != 0)
        printf("VM: cannot mount %s\n", path);
}

/* As Debian has it for a process that is not root's. */
static void set_limits(void)
{
    const struct rlimit locks = {8UL << 20, 8UL << 20};
    const struct rlimit cores = {0, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &locks) != 0 || setrlimit(RLIMIT_CORE, &cores) != 0)
        printf("VM: cannot set limits\n");
    /* A quarter of the usual: to reach it takes a while where each step is emulated. */
    FILE *mappings = fopen("/proc/sys/vm/max_map_count", "we");
    if (mappings == NULL || fputs("16384", mappings) < 0 || fclose(mappings) != 0)
        printf("VM: cannot limit mappings\n");
}

/* A disk, if there is one, is for swap; and groups may limit memory. */
static void set_up_swapping(void)
{
    static const char disk[] = "/dev/nvme0n1";
    mkdir("/var", 0755);
    mkdir("/var/tmp", 01777);
    if (access(disk, F_OK) == 0 && setenv("SECUREMEM_SWAP_DEVICE", disk, 1) != 0)
        printf("VM: no memory\n");
    mount_at("/sys/fs/cgroup", "cgroup2");
    FILE *control = fopen("/sys/fs/cgroup/cgroup.subtree_control", "we");
    if (control == NULL || fputs("+memory", control) < 0 || fclose(control) != 0)
        printf("VM: no control of memory\n");
}

static void run(char *command)
{
    char *words[MOST_WORDS + 1] = {NULL};
    size_t count = 0;
    for (char *word = strtok(command, " "); word != NULL && count < MOST_WORDS;
         word = strtok(NULL, " "))
        words[count++] = word;
    if (count == 0)
        return;
    const char *name = strrchr(words[0], '/');
    name = name == NULL ? words[0] : name + 1;
    printf("VM: begin %s\n", name);
    fflush(stdout);
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
            _exit(126);
        execv(words[0], words);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        status = 255 << 8;
    /* What it left behind is not for the next one. */
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    printf("\nVM: end %s %d %d\n", name, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    fflush(stdout);
}

int main(void)
{
    mount_at("/proc", "proc");
    mount_at("/sys", "sysfs");
    mount_at("/dev", "devtmpfs");
    mount_at("/dev/pts", "devpts");
    mount_at("/dev/shm", "tmpfs");
    mkdir("/tmp", 01777); /* in memory, as all here */
    set_up_swapping();
    set_limits();
    if (setenv("SECUREMEM_TEST_PACE", "20", 1) != 0) /* as each step is slower */
        printf("VM: no memory\n");
    struct utsname name;
    uname(&name);
    printf("\nVM: Linux %s\n", name.release);
    char line[1024];
    FILE *programs = fopen("/programs", "re");
    while (programs != NULL && fgets(line, sizeof line, programs) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        run(line);
    }
    printf("\nVM: done\n");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
