/* SPDX-License-Identifier: ISC */
/* RSA with SHA-2 (RFC 8332) by libcrypto. Not with SHA-1, which "ssh-rsa" once meant. */
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "kind.h"
#include "libcrypto.h"
#include "wire.h"

enum { MODULUS, PUBLIC_EXPONENT, PRIVATE_EXPONENT, INVERSE, P, Q, NUMBERS };

#define MODULUS_LEAST 128U  /* bytes; OpenSSH refuses what is below 1024 bits, */
#define MODULUS_MOST  2048U /* and above 16384 */

struct algorithm {
    uint32_t flag;
    const char *name, *digest;
};

/* NULL: the flags ask for SHA-1. Where both bits are set OpenSSH takes SHA-256 too. */
static const struct algorithm *choose(uint32_t flags)
{
    static const struct algorithm known[] = {
        {KIND_RSA_SHA2_256, "rsa-sha2-256", "SHA256"},
        {KIND_RSA_SHA2_512, "rsa-sha2-512", "SHA512"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((flags & known[i].flag) != 0)
            return &known[i];
    return NULL;
}

static bool read_numbers(const struct span *fields, struct span numbers[NUMBERS])
{
    for (unsigned i = 0; i < NUMBERS; i++)
        if (!wire_positive(fields[i], &numbers[i]) || numbers[i].size > MODULUS_MOST)
            return false;
    return numbers[MODULUS].size >= MODULUS_LEAST;
}

/* d mod (factor - 1), which the protocol does not carry; NULL where it cannot be made. */
static BIGNUM *reduce(struct span exponent, struct span factor)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *d = BN_bin2bn(exponent.at, (int)exponent.size, NULL);
    BIGNUM *less = BN_bin2bn(factor.at, (int)factor.size, NULL);
    BIGNUM *made = BN_new();
    if (context == NULL || d == NULL || less == NULL || made == NULL ||
        BN_sub_word(less, 1) != 1)
        goto fail;
    BN_set_flags(d, BN_FLG_CONSTTIME);
    BN_set_flags(less, BN_FLG_CONSTTIME);
    if (BN_mod(made, d, less, context) == 1)
        goto finish;
fail:
    BN_clear_free(made);
    made = NULL;
finish:
    BN_clear_free(less);
    BN_clear_free(d);
    BN_CTX_free(context);
    return made;
}

static void describe(const struct span numbers[NUMBERS], struct description *key)
{
    libcrypto_describe(key);
    libcrypto_add(key, OSSL_PKEY_PARAM_RSA_N, numbers[MODULUS]);
    libcrypto_add(key, OSSL_PKEY_PARAM_RSA_E, numbers[PUBLIC_EXPONENT]);
}

static void describe_private(const struct span numbers[NUMBERS], struct description *key)
{
    const struct span d = numbers[PRIVATE_EXPONENT];
    describe(numbers, key);
    libcrypto_add(key, OSSL_PKEY_PARAM_RSA_D, d);
    libcrypto_add(key, OSSL_PKEY_PARAM_RSA_FACTOR1, numbers[P]);
    libcrypto_add(key, OSSL_PKEY_PARAM_RSA_FACTOR2, numbers[Q]);
    libcrypto_add_made(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, reduce(d, numbers[P]));
    libcrypto_add_made(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, reduce(d, numbers[Q]));
    libcrypto_add(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, numbers[INVERSE]);
}

static bool sign(const struct kind *kind, const struct span *fields, struct span data,
                 uint32_t flags, struct reply *reply)
{
    (void)kind;
    unsigned char signature[MODULUS_MOST];
    size_t size = sizeof signature;
    struct span numbers[NUMBERS];
    struct description key;
    const struct algorithm *algorithm = choose(flags);
    if (algorithm == NULL || !read_numbers(fields, numbers))
        return false;
    describe_private(numbers, &key);
    bool done = libcrypto_sign(&key, "RSA", algorithm->digest, data, signature, &size);
    libcrypto_forget(&key);
    reply_text(reply, algorithm->name);
    reply_string(reply, (struct span){signature, done ? size : 0});
    return done;
}

static bool verify(const struct kind *kind, const struct span *fields, struct span data,
                   uint32_t flags, struct span signature)
{
    (void)kind;
    struct span numbers[NUMBERS];
    struct description key;
    const struct algorithm *algorithm = choose(flags);
    if (algorithm == NULL || !read_numbers(fields, numbers))
        return false;
    describe(numbers, &key);
    bool good = libcrypto_verify(&key, "RSA", algorithm->digest, data, signature);
    libcrypto_forget(&key);
    return good;
}

const struct kind kind_rsa = {
    .name = "ssh-rsa",
    .fields = NUMBERS,
    .publics = 2,
    .order = {PUBLIC_EXPONENT, MODULUS},
    .sign = sign,
    .verify = verify,
};
