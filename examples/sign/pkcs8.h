/* SPDX-License-Identifier: ISC */
/*
 * PKCS#8 for Ed25519 (RFC 5958, RFC 8410), read in place.
 *
 *      30 2e                       OneAsymmetricKey, SEQUENCE
 *        02 01 00                  version 0 (v1), or 1 (v2)
 *        30 05                     algorithm, SEQUENCE
 *          06 03 2b 65 70          1.3.101.112, Ed25519, without parameters
 *        04 22                     privateKey, OCTET STRING
 *          04 20 (32 bytes)        CurvePrivateKey: the seed
 *        a0 ..                     attributes, optional, not looked into
 *        81 21 00 (32 bytes)       the public key, optional, in v2 only
 */
#ifndef SIGN_PKCS8_H
#define SIGN_PKCS8_H

#include "span.h"

struct pkcs8 {
    struct span seed;       /* 32 bytes, inside the DER */
    struct span public_key; /* 32 bytes, inside the DER; size 0: there is none */
};

/* Reads all of der. Results: see say.h; *out is set only on success. */
const char *pkcs8_parse(struct span der, struct pkcs8 *out);

#endif
