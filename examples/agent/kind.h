/* SPDX-License-Identifier: ISC */
/*
 * The kinds of keys, by the name that the protocol gives them.
 *
 * ssh-add sends a private key as a few strings; they are sealed as they came and read
 * again for each signature:
 *
 *      ssh-ed25519     public key, seed and public key
 *      ecdsa-sha2-...  curve, public point, private number
 *      ssh-rsa         n, e, d, 1/q mod p, p, q
 */
#ifndef AGENT_KIND_H
#define AGENT_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "reply.h"
#include "span.h"

#define KIND_FIELDS_MOST 6U

/* Flags of a request to sign (the agent protocol, section 3.6.1): which hash with RSA. */
#define KIND_RSA_SHA2_256 2U
#define KIND_RSA_SHA2_512 4U

struct kind {
    const char *name;
    unsigned fields;        /* strings of a private key */
    unsigned publics;       /* how many of them make the public key, */
    unsigned char order[2]; /* which, and in what order */

    /*
     * Appends a signature of data, its algorithm's name and its bytes, to a reply. False
     * where the fields are no such key, the flags not of this kind, or memory is missing;
     * what the reply then holds is void. It runs on a stack that is wiped afterwards.
     */
    bool (*sign)(const struct kind *kind, const struct span *fields, struct span data,
                 uint32_t flags, struct reply *reply);

    /* Whether the bytes of a signature are one of data by the public key in fields. */
    bool (*verify)(const struct kind *kind, const struct span *fields, struct span data,
                   uint32_t flags, struct span signature);

    /* For those of libcrypto. */
    const char *curve, *group, *digest;
    unsigned bytes; /* of a number of the curve */
};

/* The kind of a name; NULL: unknown. */
const struct kind *kind_find(struct span name);

/* Takes the fields of a private key from a message; *whole is all of them. */
bool kind_read(const struct kind *kind, struct span *in, struct span *fields,
               struct span *whole);

/* Appends the public key, as it is listed and asked for. */
void kind_publish(const struct kind *kind, const struct span *fields,
                  struct reply *reply);

extern const struct kind kind_ed25519;
extern const struct kind kind_ecdsa[3];
extern const struct kind kind_rsa;

#endif
