/* SPDX-License-Identifier: ISC */
/*
 * Whether an agent is locked by a passphrase, of which it keeps a hash (Argon2id) in a
 * secret. Who guesses waits longer each time, as with ssh-agent.
 */
#ifndef AGENT_LOCK_H
#define AGENT_LOCK_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct lock {
    unsigned char *hash; /* a secret; NULL: not locked */
    unsigned char salt[crypto_pwhash_SALTBYTES];
    unsigned failures;
    uint64_t not_before; /* milliseconds of clock_now: when the next guess is heard */
};

/* False: it is locked already, or the machine has no memory for the hash. */
bool lock_close(struct lock *lock, struct span passphrase);

/* Opens it with the right passphrase. False, and later guesses wait, with another. */
bool lock_open(struct lock *lock, struct span passphrase, uint64_t now);

void lock_end(struct lock *lock);

#endif
