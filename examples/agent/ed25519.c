/* SPDX-License-Identifier: ISC */
/* Ed25519 (RFC 8032, RFC 8709) by libsodium. */
#include <securemem.h>
#include <sodium.h>

#include "kind.h"

enum { PUBLIC_KEY, SECRET_KEY };

/*
 * Both fields name the public key, and the seed determines it. libsodium hashes the one
 * that is behind the seed: were it another, the signature would give the key away.
 */
static bool sign(const struct kind *kind, const struct span *fields, struct span data,
                 uint32_t flags, struct reply *reply)
{
    unsigned char signature[crypto_sign_BYTES];
    (void)flags; /* they choose among RSA's hashes */
    if (fields[PUBLIC_KEY].size != crypto_sign_PUBLICKEYBYTES ||
        fields[SECRET_KEY].size != crypto_sign_SECRETKEYBYTES ||
        !securemem_equal(fields[PUBLIC_KEY].at,
                         fields[SECRET_KEY].at + crypto_sign_SEEDBYTES,
                         crypto_sign_PUBLICKEYBYTES))
        return false;
    (void)crypto_sign_detached(signature, NULL, data.at, data.size,
                               fields[SECRET_KEY].at); /* returns 0 only */
    reply_text(reply, kind->name);
    reply_string(reply, (struct span){signature, sizeof signature});
    return true;
}

static bool verify(const struct kind *kind, const struct span *fields, struct span data,
                   uint32_t flags, struct span signature)
{
    (void)kind;
    (void)flags;
    return signature.size == crypto_sign_BYTES &&
           crypto_sign_verify_detached(signature.at, data.at, data.size,
                                       fields[PUBLIC_KEY].at) == 0;
}

const struct kind kind_ed25519 = {
    .name = "ssh-ed25519",
    .fields = 2,
    .publics = 1,
    .order = {PUBLIC_KEY},
    .sign = sign,
    .verify = verify,
};
