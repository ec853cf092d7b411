/* SPDX-License-Identifier: ISC */
/*
 * What an agent answers: a message in, a reply out, and nothing of sockets
 * (draft-miller-ssh-agent, and PROTOCOL.agent of OpenSSH).
 *
 * Understood are: list, sign, add, add constrained (lifetime, confirm), remove, remove all,
 * lock, unlock. All else, also what is malformed, truncated or too long, is a failure.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "keys.h"
#include "lock.h"
#include "reply.h"
#include "span.h"

#define AGENT_MESSAGE_MOST ((size_t)256 << 10) /* bytes of a message, as OpenSSH */

struct agent {
    struct keys keys;
    struct lock lock;
    uint64_t lifetime; /* milliseconds, of keys that come without one; 0: for ever */
};

/* What becomes of a message. */
enum outcome {
    OUTCOME_ANSWERED, /* the reply is a frame to send */
    OUTCOME_LATER,    /* it is to be given again, at the time told */
    OUTCOME_CONFIRM /* it is to be given again, confirmed, if the user agrees to question */
};

struct request {
    struct span message; /* without its length; in a secret */
    uint64_t now;
    bool confirmed;

    /* Out. */
    uint64_t later;        /* of OUTCOME_LATER */
    struct reply question; /* of OUTCOME_CONFIRM: text and a NUL; free it */
};

/*
 * Appends a reply to what is in reply. One that finds no memory is a failure; where there is
 * none even for that, nothing is done, and the reply has failed.
 */
enum outcome agent_answer(struct agent *agent, struct request *request,
                          struct reply *reply);

/* Appends the reply that says no. */
void agent_refuse(struct reply *reply);

/* Wipes and frees all keys. */
void agent_end(struct agent *agent);

#endif
