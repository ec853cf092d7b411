/* SPDX-License-Identifier: ISC */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <securemem.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harden.h"
#include "libcrypto.h"
#include "say.h"
#include "server.h"
#include "socket.h"

#define NO_COMMAND 127 /* the exit status of a shell that does not find one */

/* Nothing is held of the terminal, the session and the folder that it was started from. */
static bool leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR);
    bool left = null >= 0 && setsid() > 0 && chdir("/") == 0;
    for (int fd = STDIN_FILENO; left && fd <= STDERR_FILENO; fd++)
        left = dup2(null, fd) == fd;
    if (null > STDERR_FILENO)
        (void)close(null);
    return left;
}

/* The last step of a start in the background; ready is -1 in the foreground. */
static const char *tell_ready(int ready)
{
    if (ready >= 0 && (!leave_terminal() || write(ready, "", 1) != 1))
        return strerror(errno);
    if (ready >= 0)
        (void)close(ready);
    return NULL;
}

/* The agent itself, from here to its end: its secrets are made in the process that uses them. */
static const char *serve(const struct options *options, int listener, pid_t companion,
                         int ready)
{
    struct server server = {.listener = listener,
                            .companion = companion,
                            .agent.lifetime = options->lifetime};
    const char *wrong = harden();
    if (wrong == NULL && sodium_init() < 0)
        wrong = "libsodium does not start";
    if (wrong == NULL)
        wrong = libcrypto_start();
    if (wrong == NULL)
        wrong = server_open(&server);
    if (wrong != NULL)
        return wrong;
    wrong = tell_ready(ready);
    if (wrong == NULL)
        wrong = server_run(&server);
    server_close(&server);
    return wrong;
}

static int passed(const char *wrong)
{
    if (wrong != NULL)
        say(wrong);
    return wrong == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ssh-agent's words, for eval in a shell. */
static void tell(const struct options *options, const char *path, pid_t pid)
{
    if (options->c_shell)
        (void)printf("setenv SSH_AUTH_SOCK %s;\nsetenv SSH_AGENT_PID %ld;\n", path,
                     (long)pid);
    else
        (void)printf("SSH_AUTH_SOCK=%s; export SSH_AUTH_SOCK;\n"
                     "SSH_AGENT_PID=%ld; export SSH_AGENT_PID;\n",
                     path, (long)pid);
    (void)printf("echo Agent pid %ld;\n", (long)pid);
    (void)fflush(stdout);
}

static int run_here(const struct options *options, struct socket *made)
{
    tell(options, made->address.sun_path, getpid());
    int status = passed(serve(options, made->listener, 0, -1));
    socket_close(made);
    return status;
}

/* Once the agent is ready: its socket is then its own to remove. */
static int go_on(const struct options *options, const struct socket *made, pid_t agent)
{
    char pid[3 * sizeof agent + 1];
    if (options->command == NULL) {
        tell(options, made->address.sun_path, agent);
        return EXIT_SUCCESS;
    }
    (void)snprintf(pid, sizeof pid, "%ld", (long)agent);
    if (setenv("SSH_AUTH_SOCK", made->address.sun_path, 1) != 0 ||
        setenv("SSH_AGENT_PID", pid, 1) != 0)
        return passed(strerror(errno));
    (void)execvp(options->command[0], options->command);
    (void)passed(strerror(errno));
    return NO_COMMAND;
}

/* 1: the agent is ready; 0: it has said why not, and removed the socket; or a negative errno. */
static int await_ready(int ready)
{
    char byte;
    ssize_t got;
    do
        got = read(ready, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : (int)got;
}

_Noreturn static void be_agent(const struct options *options, struct socket *made,
                               pid_t parent, int ready)
{
    int status = passed(
        serve(options, made->listener, options->command != NULL ? parent : 0, ready));
    socket_close(made);
    _exit(status);
}

static int run_behind(const struct options *options, struct socket *made)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) {
        int status = passed(strerror(errno));
        socket_close(made);
        return status;
    }
    pid_t parent = getpid(), agent = fork();
    int told = -errno; /* of a fork that failed */
    if (agent == 0) {
        (void)close(ready[0]);
        be_agent(options, made, parent, ready[1]);
    }
    (void)close(ready[1]);
    if (agent > 0)
        told = await_ready(ready[0]);
    (void)close(ready[0]);
    if (told == 1)
        return go_on(options, made, agent);
    if (told == 0)
        return EXIT_FAILURE;
    if (agent > 0)
        (void)kill(agent, SIGTERM); /* nobody would know of it */
    int status = passed(strerror(-told));
    socket_close(made);
    return status;
}

int start(const struct options *options)
{
    struct socket made;
    const char *wrong = socket_open(&made, options->socket);
    if (wrong != NULL)
        return passed(wrong);
    return options->foreground ? run_here(options, &made) : run_behind(options, &made);
}

int stop(const struct options *options)
{
    const char *text = getenv("SSH_AGENT_PID");
    char *end;
    long pid = text == NULL ? 0 : strtol(text, &end, 10);
    if (pid <= 1 || *end != '\0' || (pid_t)pid != pid)
        return passed("SSH_AGENT_PID names no agent");
    if (kill((pid_t)pid, SIGTERM) != 0)
        return passed(strerror(errno));
    (void)fputs(options->c_shell ? "unsetenv SSH_AUTH_SOCK;\nunsetenv SSH_AGENT_PID;\n"
                                 : "unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\n",
                stdout);
    (void)printf("echo Agent pid %ld killed;\n", pid);
    return EXIT_SUCCESS;
}
