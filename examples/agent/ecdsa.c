/* SPDX-License-Identifier: ISC */
/* ECDSA over NIST's curves (RFC 5656) by libcrypto. */
#include <openssl/core_names.h>
#include <openssl/ec.h>

#include "kind.h"
#include "libcrypto.h"
#include "wire.h"

enum { CURVE, POINT, PRIVATE_NUMBER };

#define NUMBER_MOST  66U                         /* bytes: nistp521 */
#define DER_MOST     (3 + 2 * (3 + NUMBER_MOST)) /* SEQUENCE { r, s } */
#define UNCOMPRESSED 4U /* SEC 1, 2.3.3: the byte before both coordinates */

static bool is_sane(const struct kind *kind, const struct span *fields)
{
    return wire_is(fields[CURVE], kind->curve) &&
           fields[POINT].size == 1 + 2 * (size_t)kind->bytes &&
           fields[POINT].at[0] == UNCOMPRESSED;
}

static void describe(const struct kind *kind, const struct span *fields,
                     struct description *key)
{
    libcrypto_describe(key);
    libcrypto_add_text(key, OSSL_PKEY_PARAM_GROUP_NAME, kind->group);
    libcrypto_add_bytes(key, OSSL_PKEY_PARAM_PUB_KEY, fields[POINT]);
}

/* The protocol wants the two numbers of the DER as mpints in a string. */
static bool publish(struct span der, struct reply *reply)
{
    unsigned char number[NUMBER_MOST];
    const unsigned char *at = der.at;
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &at, (long)der.size);
    if (parsed == NULL)
        return false;
    const BIGNUM *const numbers[] = {ECDSA_SIG_get0_r(parsed), ECDSA_SIG_get0_s(parsed)};
    size_t begun = reply_begin(reply);
    bool done = true;
    for (unsigned i = 0; i < 2 && done; i++) {
        done = BN_bn2binpad(numbers[i], number, sizeof number) == (int)sizeof number;
        if (done)
            reply_positive(reply, (struct span){number, sizeof number});
    }
    reply_end(reply, begun);
    ECDSA_SIG_free(parsed);
    return done;
}

static bool sign(const struct kind *kind, const struct span *fields, struct span data,
                 uint32_t flags, struct reply *reply)
{
    unsigned char der[DER_MOST];
    size_t size = sizeof der;
    struct span number;
    struct description key;
    (void)flags; /* they choose among RSA's hashes */
    if (!is_sane(kind, fields) || !wire_positive(fields[PRIVATE_NUMBER], &number) ||
        number.size > kind->bytes)
        return false;
    describe(kind, fields, &key);
    libcrypto_add(&key, OSSL_PKEY_PARAM_PRIV_KEY, number);
    bool done = libcrypto_sign(&key, "EC", kind->digest, data, der, &size);
    libcrypto_forget(&key);
    reply_text(reply, kind->name);
    return done && publish((struct span){der, size}, reply);
}

/* The other way round. The size of *der, which is to be freed; not above 0: it is none. */
static int to_der(struct span numbers, unsigned char **der)
{
    struct span r, s;
    int size = 0;
    if (!wire_string(&numbers, &r) || !wire_string(&numbers, &s))
        return 0;
    ECDSA_SIG *parsed = ECDSA_SIG_new();
    BIGNUM *first = BN_bin2bn(r.at, (int)r.size, NULL);
    BIGNUM *second = BN_bin2bn(s.at, (int)s.size, NULL);
    if (parsed == NULL || ECDSA_SIG_set0(parsed, first, second) != 1)
        goto free_numbers;
    size = i2d_ECDSA_SIG(parsed, der);
    first = second = NULL; /* they are parsed's now */
free_numbers:
    BN_free(first);
    BN_free(second);
    ECDSA_SIG_free(parsed);
    return size;
}

static bool verify(const struct kind *kind, const struct span *fields, struct span data,
                   uint32_t flags, struct span signature)
{
    (void)flags;
    unsigned char *der = NULL;
    struct description key;
    int size = to_der(signature, &der);
    if (size <= 0)
        return false;
    describe(kind, fields, &key);
    bool good = libcrypto_verify(&key, "EC", kind->digest, data,
                                 (struct span){der, (size_t)size});
    libcrypto_forget(&key);
    OPENSSL_free(der);
    return good;
}

#define KIND(bits, hash)                                                                 \
    {                                                                                    \
        .name = "ecdsa-sha2-nistp" #bits, .fields = 3, .publics = 2,                     \
        .order = {CURVE, POINT}, .sign = sign, .verify = verify, .curve = "nistp" #bits, \
        .group = "P-" #bits, .digest = (hash), .bytes = ((bits) + 7) / 8                 \
    }

const struct kind kind_ecdsa[3] = {KIND(256, "SHA256"), KIND(384, "SHA384"),
                                   KIND(521, "SHA512")};
