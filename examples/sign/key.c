/* SPDX-License-Identifier: ISC */
#include "key.h"

#include <assert.h>
#include <securemem.h>
#include <sodium.h>

#include "file.h"
#include "pem.h"
#include "pkcs8.h"

static_assert(KEY_SIGNATURE_SIZE == crypto_sign_BYTES, "what libsodium writes");

/*
 * libsodium wipes its hashes and scalars, but leaves digits of the scalar that it multiplies
 * by in registers and on the stack: its functions run on one that is wiped behind them. They
 * take less than 2 KiB there (1.0.18, x86-64).
 */
#define STACK_OF_SIGNING 16384

/* Calls of libsodium as they run there. */
struct derivation {
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char *secret_key;
    const unsigned char *seed;
    int result;
};

static void derive_there(void *argument)
{
    struct derivation *d = argument;
    d->result = crypto_sign_seed_keypair(d->public_key, d->secret_key, d->seed);
}

struct signing {
    unsigned char *signature;
    const unsigned char *message, *secret_key;
    size_t size;
};

static void sign_there(void *argument)
{
    const struct signing *s = argument;
    (void)crypto_sign_detached(s->signature, NULL, s->message, s->size,
                               s->secret_key); /* returns 0 only */
}

static const char *why(void)
{
    return securemem_last_error()->message;
}

/* The key of a seed, closed. A public key that came with the seed must be its own. */
static const char *derive(const struct pkcs8 *parsed, unsigned char **key)
{
    const char *wrong = NULL;
    unsigned char *place = securemem_alloc(crypto_sign_SECRETKEYBYTES);
    if (place == NULL)
        return why();
    struct derivation d = {.secret_key = place, .seed = parsed->seed.at};
    int called = securemem_scratch_call(derive_there, &d, STACK_OF_SIGNING);
    if (called == 0 && d.result != 0)
        wrong = "holds a key that libsodium does not take";
    else if (called == 0 && parsed->public_key.size > 0 &&
             !securemem_equal(d.public_key, parsed->public_key.at, sizeof d.public_key))
        wrong = "holds a public key that is not that of its private key";
    else if (called != 0 || securemem_set_access(place, SECUREMEM_NONE) != 0)
        wrong = why();
    if (wrong == NULL)
        *key = place;
    else
        securemem_free(place);
    return wrong;
}

static const char *load_der(struct span der, unsigned char **key)
{
    struct pkcs8 parsed;
    const char *wrong = pkcs8_parse(der, &parsed);
    return wrong != NULL ? wrong : derive(&parsed, key);
}

static const char *load_pem(struct span pem, unsigned char **key)
{
    unsigned char *der;
    size_t size;
    const char *wrong = pem_decode_private_key(pem, &der, &size);
    if (wrong != NULL)
        return wrong;
    wrong = load_der((struct span){der, size}, key);
    securemem_free(der);
    return wrong;
}

const char *key_load(const char *path, unsigned char **key)
{
    unsigned char *pem;
    size_t size;
    const char *wrong = file_read_key(path, &pem, &size);
    if (wrong != NULL)
        return wrong;
    wrong = load_pem((struct span){pem, size}, key);
    securemem_free(pem);
    return wrong;
}

const char *key_sign(unsigned char *key, const unsigned char *message, size_t size,
                     unsigned char signature[KEY_SIGNATURE_SIZE])
{
    if (securemem_open(key, SECUREMEM_READ) != 0)
        return why();
    const char *wrong = NULL;
    struct signing s = {signature, message, key, size};
    if (securemem_scratch_call(sign_there, &s, STACK_OF_SIGNING) != 0)
        wrong = why();
    if (securemem_close(key) != 0 && wrong == NULL)
        wrong = why();
    return wrong;
}
