/* SPDX-License-Identifier: ISC */
#include "libcrypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <securemem.h>

#define IDLE_BYTES  ((size_t)256 << 10) /* a signature by RSA-4096 frees and takes less */
#define START_BYTES ((size_t)768 << 10) /* what it makes once, and keeps, is 500 KiB */

static securemem_arena *memory;

/* The names of these are libcrypto's: a file and a line of its own. */
static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 ? NULL : securemem_arena_alloc(memory, size);
}

static void give(void *secret, const char *file, int line)
{
    (void)file;
    (void)line;
    securemem_free(secret);
}

static void *resize(void *secret, size_t size, const char *file, int line)
{
    if (secret == NULL)
        return take(size, file, line);
    if (size > 0)
        return securemem_realloc(secret, size);
    give(secret, file, line);
    return NULL;
}

/* What it makes at the first use of each is made now. */
static bool warm_up(void)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
    static const char *const keys[] = {"RSA", "EC"};
    static const char *const signatures[] = {"RSA", "ECDSA"};
    unsigned char byte;
    bool warm = RAND_bytes(&byte, 1) == 1 && RAND_priv_bytes(&byte, 1) == 1;
    for (size_t i = 0; warm && i < sizeof digests / sizeof digests[0]; i++) {
        EVP_MD *digest = EVP_MD_fetch(NULL, digests[i], NULL);
        warm = digest != NULL;
        EVP_MD_free(digest);
    }
    for (size_t i = 0; warm && i < sizeof keys / sizeof keys[0]; i++) {
        EVP_KEYMGMT *management = EVP_KEYMGMT_fetch(NULL, keys[i], NULL);
        EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, signatures[i], NULL);
        warm = management != NULL && signature != NULL;
        EVP_SIGNATURE_free(signature);
        EVP_KEYMGMT_free(management);
    }
    return warm;
}

/*
 * Where memory is missing for its global context libcrypto 3 does not fail but crash, then or
 * at the next call (openssl/openssl#25442): with all keys, if that were at the first of RSA.
 * Memory is there before it asks.
 */
const char *libcrypto_start(void)
{
    memory = securemem_arena_create(
        &(securemem_arena_options){.placement = SECUREMEM_PACKED, .idle = IDLE_BYTES});
    if (memory == NULL || securemem_arena_reserve(memory, START_BYTES) != 0)
        return securemem_last_error()->message;
    if (CRYPTO_set_mem_functions(take, resize, give) != 1)
        return "libcrypto took memory before it could be told where from";
    /* A configuration could load code, and atexit(3) would free while others still work. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) !=
            1 ||
        !warm_up())
        return securemem_last_error()->code == 0 ? "libcrypto does not start"
                                                 : securemem_last_error()->message;
    (void)securemem_arena_trim(
        memory); /* what is not given back stays locked and wiped */
    return NULL;
}

void libcrypto_describe(struct description *key)
{
    *key = (struct description){.builder = OSSL_PARAM_BLD_new()};
    key->failed = key->builder == NULL;
}

void libcrypto_forget(struct description *key)
{
    OSSL_PARAM_BLD_free(key->builder);
    for (unsigned i = 0; i < key->count; i++)
        BN_clear_free(key->numbers[i]);
    ERR_clear_error();
}

void libcrypto_add_made(struct description *key, const char *name, BIGNUM *number)
{
    if (number == NULL || key->failed || key->count == LIBCRYPTO_NUMBERS_MOST) {
        BN_clear_free(number);
        key->failed = true;
        return;
    }
    key->numbers[key->count++] = number;
    key->failed = OSSL_PARAM_BLD_push_BN(key->builder, name, number) != 1;
}

void libcrypto_add(struct description *key, const char *name, struct span number)
{
    libcrypto_add_made(key, name, BN_bin2bn(number.at, (int)number.size, NULL));
}

void libcrypto_add_text(struct description *key, const char *name, const char *text)
{
    key->failed =
        key->failed || OSSL_PARAM_BLD_push_utf8_string(key->builder, name, text, 0) != 1;
}

void libcrypto_add_bytes(struct description *key, const char *name, struct span bytes)
{
    key->failed = key->failed || OSSL_PARAM_BLD_push_octet_string(
                                     key->builder, name, bytes.at, bytes.size) != 1;
}

static EVP_PKEY *make(const struct description *key, const char *type, int selection)
{
    if (key->failed)
        return NULL;
    EVP_PKEY *made = NULL;
    OSSL_PARAM *numbers = OSSL_PARAM_BLD_to_param(key->builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (numbers == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &made, selection, numbers) != 1)
        made = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(numbers);
    return made;
}

bool libcrypto_sign(const struct description *key, const char *type, const char *digest,
                    struct span data, unsigned char *signature, size_t *size)
{
    EVP_PKEY *made = make(key, type, EVP_PKEY_KEYPAIR);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done =
        made != NULL && context != NULL &&
        EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, made, NULL) == 1 &&
        EVP_DigestSign(context, signature, size, data.at, data.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(made);
    return done;
}

bool libcrypto_verify(const struct description *key, const char *type, const char *digest,
                      struct span data, struct span signature)
{
    EVP_PKEY *made = make(key, type, EVP_PKEY_PUBLIC_KEY);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        made != NULL && context != NULL &&
        EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, made, NULL) == 1 &&
        EVP_DigestVerify(context, signature.at, signature.size, data.at, data.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(made);
    return good;
}
