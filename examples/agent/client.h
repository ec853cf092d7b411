/* SPDX-License-Identifier: ISC */
/*
 * One who is connected. A message may hold a key: it is read straight into a secret, used
 * there, and wiped. One message is answered after the other.
 *
 *      reading ---> answered: writing ---> reading
 *         |  \----> confirm: asking, until the user answers ---> writing
 *         \-------> later: waiting, until it is time ---> reading
 *
 * So does who is to be asked about while another question is open.
 */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include <securemem.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent.h"
#include "ask.h"
#include "reply.h"

enum client_state {
    CLIENT_READING,
    CLIENT_WRITING,
    CLIENT_ASKING,
    CLIENT_WAITING,
    CLIENT_GONE
};

struct client {
    struct client *next;
    enum client_state state;
    int fd;
    uint32_t watched; /* the events of epoll(7) that are waited for */

    unsigned char *in; /* a secret of room bytes, of which got were read */
    size_t room, got;
    uint64_t until;   /* when a message that is not whole is given up; 0: there is none */
    struct reply out; /* of which sent were written */
    size_t sent;
    bool last; /* what it sends cannot be understood any more: closed after the reply */

    struct ask ask;
    uint64_t later; /* of CLIENT_WAITING */
};

/* Takes the descriptor over, which must not block. NULL: there is no memory. */
struct client *client_new(int fd, securemem_arena *arena);

/*
 * Reads, answers and writes as far as that goes without waiting; to be called when one of
 * its descriptors is ready, and when it is time. Its state then says what it waits for.
 */
void client_go(struct client *client, struct agent *agent, uint64_t now);

/* When it is time for it, KEY_FOR_EVER: never. It has then gone, or client_go goes on. */
uint64_t client_next(struct client *client, uint64_t now);

/* Closes and wipes all that it has. */
void client_free(struct client *client);

#endif
