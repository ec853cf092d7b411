/* SPDX-License-Identifier: ISC */
/*
 * A key: its public half as it is listed, its private half sealed. It is opened for a
 * signature alone, on a stack that is wiped.
 */
#ifndef AGENT_KEY_H
#define AGENT_KEY_H

#include <securemem.h>
#include <stdbool.h>
#include <stdint.h>

#include "kind.h"
#include "reply.h"
#include "span.h"

#define KEY_FOR_EVER UINT64_MAX

struct key {
    struct key *next;
    const struct kind *kind;
    securemem_sealed *sealed; /* the fields, as the protocol carries them */
    struct reply blob;        /* the public key */
    struct reply comment;
    uint64_t until; /* milliseconds of clock_now; KEY_FOR_EVER */
    bool confirm;
};

/*
 * Reads a key from the message that adds one, up to its comment, and seals it. A key whose
 * halves are not of each other is none. NULL: the message is malformed, the key of unknown
 * kind or none, or it cannot be sealed. Free it with key_free.
 */
struct key *key_read(struct span *message);

/* Appends a signature, name and bytes. False: see kind.h; the reply is then as before. */
bool key_sign(const struct key *key, struct span data, uint32_t flags,
              struct reply *reply);

/* Writes "SHA256:..." and a NUL, as ssh-keygen -l prints it. */
#define KEY_FINGERPRINT_SIZE 51
void key_fingerprint(const struct key *key, char text[KEY_FINGERPRINT_SIZE]);

/* NULL does nothing. */
void key_free(struct key *key);

#endif
