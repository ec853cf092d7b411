/* SPDX-License-Identifier: ISC */
/*
 * An Ed25519 signing key: one secret of 64 bytes, the seed and the public key, in the
 * form of crypto_sign_SECRETKEYBYTES. It rests without access; only key_sign opens it.
 *
 *      file --read(2)--> secret: PEM --> secret: DER --> secret: key
 *
 * The first two are wiped and freed before key_load returns.
 */
#ifndef SIGN_KEY_H
#define SIGN_KEY_H

#include <stddef.h>

#define KEY_SIGNATURE_SIZE 64

/*
 * Reads the private key of a PKCS#8 PEM file. The caller frees *key with securemem_free.
 * Results: see say.h; *key is set only on success.
 */
const char *key_load(const char *path, unsigned char **key);

/* Signs (RFC 8032, pure Ed25519). NULL, or why the key could not be opened or closed. */
const char *key_sign(unsigned char *key, const unsigned char *message, size_t size,
                     unsigned char signature[KEY_SIGNATURE_SIZE]);

#endif
