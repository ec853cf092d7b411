/* SPDX-License-Identifier: ISC */
/* The agent's socket: of mode 0600, and where its path is not given, in a folder of 0700. */
#ifndef AGENT_SOCKET_H
#define AGENT_SOCKET_H

#include <stdbool.h>
#include <sys/un.h>

struct socket {
    int listener;                                             /* does not block */
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* its own; "": none */
    struct sockaddr_un address; /* its path ends with a NUL */
};

/*
 * Makes the socket and listens: at path, where there must be nothing, or, where path is
 * NULL, at $TMPDIR/ssh-XXXXXX/agent.PID. NULL, or what is wrong. The descriptor is not
 * inherited by programs that are executed.
 */
const char *socket_open(struct socket *socket, const char *path);

/* Closes it and removes it, and its folder. */
void socket_close(struct socket *socket);

/*
 * Whether the process at the other end is of this process's user. Root of another one is
 * not: who is root can become that user, and should say so.
 */
bool socket_is_of_own_user(int fd);

#endif
