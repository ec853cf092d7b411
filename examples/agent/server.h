/* SPDX-License-Identifier: ISC */
/*
 * The socket, those who are connected, and the time: one thread, epoll(7). Results are those
 * of say.h.
 */
#ifndef AGENT_SERVER_H
#define AGENT_SERVER_H

#include <securemem.h>
#include <sys/types.h>

#include "agent.h"
#include "client.h"

#define SERVER_CLIENTS_MOST 1000U

struct server {
    /* Set before server_open. */
    int listener;
    pid_t companion; /* the agent ends with it; 0: with nobody */
    struct agent agent;

    /* Its own. */
    securemem_arena *messages;
    int events, signals, ended; /* of epoll, of signalfd, of the companion; -1 */
    struct client *clients;
    size_t count;
    bool
        listens; /* whether the listener is waited for: not while all places are taken, */
    uint64_t paused_until; /* nor, until then, after somebody could not be let in */
};

/*
 * Blocks SIGTERM, SIGINT, SIGHUP and SIGPIPE in this thread, and has SIGCHLD do what it does
 * by default. All else is undone by server_close.
 */
const char *server_open(struct server *server);

/* Serves until one of these signals, or the companion's end. */
const char *server_run(struct server *server);

/* Wipes keys and messages, and ends all connections. The listener stays open. */
void server_close(struct server *server);

#endif
