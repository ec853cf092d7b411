/* SPDX-License-Identifier: ISC */
/*
 * OpenSSL's libcrypto, all of whose memory is secrets: keys, their numbers and every
 * half-way result of a signature are locked and guarded, and wiped when they are freed. That
 * is more than its own secure heap does, which is for private keys alone, and in OpenSSL 3.0
 * not for those of RSA.
 */
#ifndef AGENT_LIBCRYPTO_H
#define AGENT_LIBCRYPTO_H

#include <openssl/param_build.h>
#include <stdbool.h>

#include "span.h"

#define LIBCRYPTO_NUMBERS_MOST 8U

/* What a key is made from. Once something failed, all that is done with it fails. */
struct description {
    OSSL_PARAM_BLD *builder; /* points to the numbers */
    BIGNUM *numbers[LIBCRYPTO_NUMBERS_MOST];
    unsigned count;
    bool failed;
};

/*
 * Before any other use of libcrypto, and in the process that signs: a forked child would
 * have zeros. NULL, or why not.
 */
const char *libcrypto_start(void);

void libcrypto_describe(struct description *key);
void libcrypto_forget(struct description *key);

/* The name is one of libcrypto's (OSSL_PKEY_PARAM_...). A number, most significant byte
 * first; the second call takes one over, which may be NULL. */
void libcrypto_add(struct description *key, const char *name, struct span number);
void libcrypto_add_made(struct description *key, const char *name, BIGNUM *number);
void libcrypto_add_text(struct description *key, const char *name, const char *text);
void libcrypto_add_bytes(struct description *key, const char *name, struct span bytes);

/* Signs with a private key; *signature has room for *size bytes, which becomes its size. */
bool libcrypto_sign(const struct description *key, const char *type, const char *digest,
                    struct span data, unsigned char *signature, size_t *size);

/* Whether the signature is one of data by a public key. */
bool libcrypto_verify(const struct description *key, const char *type, const char *digest,
                      struct span data, struct span signature);

#endif
