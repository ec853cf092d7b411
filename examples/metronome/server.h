/* SPDX-License-Identifier: ISC */
/*
 * Requests come over a Unix socket, from processes of the same user, up to eight at once. A
 * packet is received straight into a secret, for it bears the token.
 */
#ifndef METRONOME_SERVER_H
#define METRONOME_SERVER_H

#include <stdbool.h>

#include "handover.h"
#include "keys.h"
#include "mode.h"
#include "statistics.h"
#include "text.h"

struct server {
    /* Set before server_open. */
    const char *path;
    enum mode mode;
    const struct keys *keys;
    struct handover *handover;
    const struct statistics *statistics;
    int ended;           /* eventfd(2): readable when the ticking thread has ended */
    struct text *answer; /* room for one */

    /* Its own. */
    int listener, signals;
    int clients[HANDOVER_PLACES]; /* a place of the handover each; -1: nobody */
    unsigned char *packet;        /* a secret */
    uint64_t seen;                /* ticks when systemd was last told of them */
};

/*
 * Makes the socket, mode 0600. One that is left from a service that died is replaced, one
 * that somebody listens on is not. SIGTERM and SIGINT are blocked from here on, in the
 * threads that are started later too.
 */
const char *server_open(struct server *server);

/* Serves until SIGTERM, SIGINT, or until the ticking thread has ended. */
const char *server_run(struct server *server);

/* Ends all connections and removes the socket. */
void server_close(struct server *server);

/* All that "stats" tells. */
void server_tell(const struct server *server, struct text *text);

#endif
