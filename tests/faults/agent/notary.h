/* SPDX-License-Identifier: ISC */
/*
 * Who makes the keys, and says whether a signature is one: a process with a libcrypto of its
 * own, since the agent's has to be told first where its memory comes from. What is private
 * is masked wherever it lies, so that whoever looks for it finds what the agent left.
 */
#ifndef FAULTS_AGENT_NOTARY_H
#define FAULTS_AGENT_NOTARY_H

#include <stdbool.h>
#include <stddef.h>

#define NOTARY_MASK    0xa5U
#define NOTARY_BODY    2048U
#define NOTARY_VALUE   64U
#define NOTARY_VALUES  24U
#define NOTARY_MESSAGE "what is to be signed"

enum notary_kind {
    NOTARY_ED25519,
    NOTARY_OTHER_ED25519,
    NOTARY_ECDSA,
    NOTARY_RSA,
    NOTARY_KEYS
};

struct notary_key {
    size_t body_size, blob_size;
    unsigned char
        body[NOTARY_BODY]; /* of the message that adds it, up to its comment; masked */
    unsigned char blob[NOTARY_BODY]; /* the public key */
};

struct notary_value {
    size_t size;
    unsigned char bytes[NOTARY_VALUE]; /* masked */
};

struct notary {
    int asks; /* a socket */
    struct notary_key keys[NOTARY_KEYS];
    size_t values_count;
    struct notary_value
        values[NOTARY_VALUES]; /* private ones, as sent and turned round */
};

/* Shared memory. NULL: it cannot be made. Ends when the last who may ask has ended. */
const struct notary *notary_start(void);

/* Whether it is a signature, name and bytes, of NOTARY_MESSAGE by the key. */
bool notary_agrees(const struct notary *notary, enum notary_kind kind,
                   const unsigned char *signature, size_t size);

#endif
