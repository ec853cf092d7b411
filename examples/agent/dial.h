/* SPDX-License-Identifier: ISC */
/*
 * The other end of an agent's socket, for the programs that try one: they end with a line
 * and status 1 where something is not as it should be.
 */
#ifndef AGENT_DIAL_H
#define AGENT_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reply.h"
#include "span.h"

#define DIAL_ROOM ((size_t)256 << 10)

/* Types of messages, as in agent.c. */
enum {
    DIAL_FAILURE = 5,
    DIAL_SUCCESS = 6,
    DIAL_LIST = 11,
    DIAL_LISTED = 12,
    DIAL_SIGN = 13,
    DIAL_SIGNED = 14,
    DIAL_ADD = 17,
    DIAL_REMOVE = 18,
    DIAL_REMOVE_ALL = 19,
    DIAL_LOCK = 22,
    DIAL_UNLOCK = 23,
    DIAL_ADD_CONSTRAINED = 25,
    DIAL_EXTENSION = 27
};

_Noreturn void dial_fail(const char *what);

/* A connection, blocking. */
int dial(const char *path);

void dial_send(int fd, struct span bytes);

/* The next whole answer, without its size, in a place that the next call overwrites; a size
 * of 0: the connection was ended. */
struct span dial_receive(int fd);

/* Sends a frame and takes the answer, which has to be of the type that is due; what follows
 * the type. */
struct span dial_ask(int fd, const struct reply *frame, uint8_t due);

/* Begins a frame of a type in an empty reply; reply_end(frame, 0) ends it. */
void dial_begin(struct reply *frame, uint8_t type);

#endif
