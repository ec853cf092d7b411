/* SPDX-License-Identifier: ISC */
/*
 * The client of an agent with faults. It holds the agent to this: an answer is whole or there
 * is none; without a fault it is the one that is due; with one a failure may stand in its
 * place, or the connection end. What is not so ends the process with a line.
 */
#ifndef FAULTS_AGENT_TALK_H
#define FAULTS_AGENT_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/dial.h"
#include "agent/reply.h"
#include "agent/span.h"
#include "faults/agent/notary.h"

#define TALK_NONE (-1) /* the type of no answer */

struct talk {
    int fd; /* -1: not connected, as at first */
};

/* Set before any other. The socket is a pattern of glob(7). */
extern const struct notary *talk_notary;
extern const char *talk_socket;
extern int talk_errors;    /* a descriptor, for what is not so */
extern unsigned talk_open; /* how many connections there are */

_Noreturn void talk_violation(const char *what);

void talk_send(struct talk *talk, struct span bytes);

/* The next answer's type, DIAL_..., which is due, or DIAL_FAILURE, or TALK_NONE. What
 * follows it is in *rest, which may be NULL, until the next call. */
int talk_receive(struct talk *talk, int due, struct span *rest);

/* Ends the connection, also in the middle of something. */
void talk_leave(struct talk *talk);

/* One message and its answer. */
int talk_bare(struct talk *talk, uint8_t type, int due);
int talk_text(struct talk *talk, uint8_t type, const char *text, int due);
int talk_add(struct talk *talk, enum notary_kind kind, struct span constraints, int due);
int talk_remove(struct talk *talk, enum notary_kind kind, int due);
int talk_list(struct talk *talk, size_t *count);
void talk_ask_to_sign(struct talk *talk, enum notary_kind kind);

/* As talk_receive; a signature is right. */
int talk_take_signature(struct talk *talk, enum notary_kind kind, int due);

#endif
