/* SPDX-License-Identifier: ISC */
/*
 * What the agent asks of libsodium and libcrypto. Most refusals of libcrypto come of its
 * memory, each allocation of which is the agent's own (wrap_memory.c); these are its words
 * for all others. Left alone are those that only give back, or look.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <sodium.h>

#include "faults/agent/fault.h"

#define FAULT_NULL(type, name, parameters, arguments)                                    \
    FAULT_VALUE(type, name, parameters, arguments, NULL)

FAULT_VALUE(int, sodium_init, (void), (), -1)
FAULT_VALUE(int, crypto_sign_verify_detached,
            (const unsigned char *signature, const unsigned char *data,
             unsigned long long size, const unsigned char *key),
            (signature, data, size, key), -1)

/* As little work as there can be: the hash is what takes time, not what is tested. */
int __real_crypto_pwhash(unsigned char *out, unsigned long long size,
                         const char *password, unsigned long long length,
                         const unsigned char *salt, unsigned long long work,
                         size_t memory, int algorithm);
int __wrap_crypto_pwhash(unsigned char *out, unsigned long long size,
                         const char *password, unsigned long long length,
                         const unsigned char *salt, unsigned long long work,
                         size_t memory, int algorithm);
int __wrap_crypto_pwhash(unsigned char *out, unsigned long long size,
                         const char *password, unsigned long long length,
                         const unsigned char *salt, unsigned long long work,
                         size_t memory, int algorithm)
{
    (void)work;
    (void)memory;
    if (fault_take("crypto_pwhash", 1) >= 0)
        return -1;
    return __real_crypto_pwhash(out, size, password, length, salt,
                                crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN,
                                algorithm);
}

FAULT_VALUE(int, CRYPTO_set_mem_functions,
            (CRYPTO_malloc_fn take, CRYPTO_realloc_fn resize, CRYPTO_free_fn give),
            (take, resize, give), 0)
FAULT_VALUE(int, OPENSSL_init_crypto,
            (uint64_t options, const OPENSSL_INIT_SETTINGS *settings),
            (options, settings), 0)

FAULT_VALUE(int, RAND_bytes, (unsigned char *bytes, int count), (bytes, count), 0)
FAULT_VALUE(int, RAND_priv_bytes, (unsigned char *bytes, int count), (bytes, count), 0)
FAULT_NULL(EVP_MD *, EVP_MD_fetch,
           (OSSL_LIB_CTX * library, const char *name, const char *properties),
           (library, name, properties))
FAULT_NULL(EVP_KEYMGMT *, EVP_KEYMGMT_fetch,
           (OSSL_LIB_CTX * library, const char *name, const char *properties),
           (library, name, properties))
FAULT_NULL(EVP_SIGNATURE *, EVP_SIGNATURE_fetch,
           (OSSL_LIB_CTX * library, const char *name, const char *properties),
           (library, name, properties))

FAULT_NULL(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_new, (void), ())
FAULT_NULL(OSSL_PARAM *, OSSL_PARAM_BLD_to_param, (OSSL_PARAM_BLD * builder), (builder))
FAULT_VALUE(int, OSSL_PARAM_BLD_push_BN,
            (OSSL_PARAM_BLD * builder, const char *name, const BIGNUM *number),
            (builder, name, number), 0)
FAULT_VALUE(int, OSSL_PARAM_BLD_push_utf8_string,
            (OSSL_PARAM_BLD * builder, const char *name, const char *text, size_t size),
            (builder, name, text, size), 0)
FAULT_VALUE(int, OSSL_PARAM_BLD_push_octet_string,
            (OSSL_PARAM_BLD * builder, const char *name, const void *bytes, size_t size),
            (builder, name, bytes, size), 0)

FAULT_NULL(BN_CTX *, BN_CTX_new, (void), ())
FAULT_NULL(BIGNUM *, BN_new, (void), ())
FAULT_NULL(BIGNUM *, BN_bin2bn, (const unsigned char *bytes, int size, BIGNUM *number),
           (bytes, size, number))
FAULT_VALUE(int, BN_bn2binpad, (const BIGNUM *number, unsigned char *bytes, int size),
            (number, bytes, size), -1)
FAULT_VALUE(int, BN_sub_word, (BIGNUM * number, BN_ULONG word), (number, word), 0)
FAULT_VALUE(int, BN_div,
            (BIGNUM * quotient, BIGNUM *rest, const BIGNUM *number, const BIGNUM *divisor,
             BN_CTX *context),
            (quotient, rest, number, divisor, context), 0)

FAULT_NULL(ECDSA_SIG *, ECDSA_SIG_new, (void), ())
FAULT_VALUE(int, ECDSA_SIG_set0, (ECDSA_SIG * signature, BIGNUM *r, BIGNUM *s),
            (signature, r, s), 0)
FAULT_NULL(ECDSA_SIG *, d2i_ECDSA_SIG,
           (ECDSA_SIG * *signature, const unsigned char **at, long size),
           (signature, at, size))
FAULT_VALUE(int, i2d_ECDSA_SIG, (const ECDSA_SIG *signature, unsigned char **out),
            (signature, out), -1, 0)

FAULT_NULL(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name,
           (OSSL_LIB_CTX * library, const char *name, const char *properties),
           (library, name, properties))
FAULT_VALUE(int, EVP_PKEY_fromdata_init, (EVP_PKEY_CTX * context), (context), 0, -2)
FAULT_VALUE(int, EVP_PKEY_fromdata,
            (EVP_PKEY_CTX * context, EVP_PKEY **key, int selection, OSSL_PARAM *numbers),
            (context, key, selection, numbers), 0, -1)
FAULT_NULL(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
FAULT_VALUE(int, EVP_DigestSignInit_ex,
            (EVP_MD_CTX * context, EVP_PKEY_CTX **inner, const char *digest,
             OSSL_LIB_CTX *library, const char *properties, EVP_PKEY *key,
             const OSSL_PARAM *parameters),
            (context, inner, digest, library, properties, key, parameters), 0, -2)
FAULT_VALUE(int, EVP_DigestSign,
            (EVP_MD_CTX * context, unsigned char *signature, size_t *size,
             const unsigned char *data, size_t length),
            (context, signature, size, data, length), 0, -1)
FAULT_VALUE(int, EVP_DigestVerifyInit_ex,
            (EVP_MD_CTX * context, EVP_PKEY_CTX **inner, const char *digest,
             OSSL_LIB_CTX *library, const char *properties, EVP_PKEY *key,
             const OSSL_PARAM *parameters),
            (context, inner, digest, library, properties, key, parameters), 0, -2)
FAULT_VALUE(int, EVP_DigestVerify,
            (EVP_MD_CTX * context, const unsigned char *signature, size_t size,
             const unsigned char *data, size_t length),
            (context, signature, size, data, length), 0, -1)
