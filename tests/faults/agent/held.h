/* SPDX-License-Identifier: ISC */
/* What the agent holds, by what it took and gave back. */
#ifndef FAULTS_AGENT_HELD_H
#define FAULTS_AGENT_HELD_H

#include <stdbool.h>

struct held {
    long heap;        /* allocations of its own */
    long secrets;     /* of its own and of libcrypto's */
    long sealed;      /* keys, */
    long opened;      /* and those that are open now */
    bool is_reserved; /* memory that was asked for ahead */

    /* Controls: as if it closed no key, and wiped no message. */
    bool ignores_close, ignores_wipe;
};
extern struct held held;

#endif
