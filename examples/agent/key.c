/* SPDX-License-Identifier: ISC */
#include "key.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "aside.h"
#include "wire.h"

#define PREFIX "SHA256:"
#define BASE64 sodium_base64_VARIANT_ORIGINAL_NO_PADDING

static_assert(sizeof PREFIX - 1 +
                      sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, BASE64) ==
                  KEY_FINGERPRINT_SIZE,
              "a fingerprint and a NUL");

struct work {
    const struct kind *kind;
    struct span whole; /* in a secret */
    struct span data;
    uint32_t flags;
    struct reply *reply;
    bool done;
};

static void sign(void *argument)
{
    struct work *work = argument;
    struct span fields[KIND_FIELDS_MOST], whole = work->whole, again;
    work->done =
        kind_read(work->kind, &whole, fields, &again) &&
        work->kind->sign(work->kind, fields, work->data, work->flags, work->reply);
}

static bool sign_aside(struct work *work)
{
    size_t before = work->reply->size;
    if (aside(sign, work) && work->done)
        return true;
    work->reply->size = before;
    return false;
}

bool key_sign(const struct key *key, struct span data, uint32_t flags,
              struct reply *reply)
{
    const unsigned char *opened = securemem_sealed_open(key->sealed, SECUREMEM_READ);
    if (opened == NULL)
        return false;
    struct work work = {.kind = key->kind,
                        .whole = {opened, securemem_sealed_size(key->sealed)},
                        .data = data,
                        .flags = flags,
                        .reply = reply};
    bool done = sign_aside(&work);
    (void)securemem_sealed_close(key->sealed); /* nothing was written */
    return done;
}

/* A signature that the public half accepts proves that they are halves of one key. */
static bool is_whole(const struct kind *kind, const struct span *fields,
                     struct span whole)
{
    static const unsigned char text[] = "is it one key?";
    struct reply reply = {0};
    struct work work = {.kind = kind,
                        .whole = whole,
                        .data = {text, sizeof text},
                        .flags = KIND_RSA_SHA2_256,
                        .reply = &reply};
    struct span name, signature, rest;
    bool good = sign_aside(&work) && !reply.failed;
    rest = reply_span(&reply);
    good = good && wire_string(&rest, &name) && wire_string(&rest, &signature) &&
           kind->verify(kind, fields, work.data, work.flags, signature);
    reply_free(&reply);
    return good;
}

struct key *key_read(struct span *message)
{
    struct span name, comment, whole, fields[KIND_FIELDS_MOST];
    if (!wire_string(message, &name))
        return NULL;
    const struct kind *kind = kind_find(name);
    if (kind == NULL || !kind_read(kind, message, fields, &whole) ||
        !wire_string(message, &comment) || !is_whole(kind, fields, whole))
        return NULL;
    struct key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return NULL;
    key->kind = kind;
    key->until = KEY_FOR_EVER;
    kind_publish(kind, fields, &key->blob);
    reply_bytes(&key->comment, comment);
    key->sealed = securemem_seal(whole.at, whole.size, SECUREMEM_SEAL_SHIELDED);
    if (key->sealed != NULL && !key->blob.failed && !key->comment.failed)
        return key;
    key_free(key);
    return NULL;
}

void key_fingerprint(const struct key *key, char text[KEY_FINGERPRINT_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    size_t prefix = sizeof PREFIX - 1;
    (void)crypto_hash_sha256(hash, key->blob.bytes, key->blob.size);
    memcpy(text, PREFIX, prefix);
    (void)sodium_bin2base64(text + prefix, KEY_FINGERPRINT_SIZE - prefix, hash,
                            sizeof hash, BASE64);
}

void key_free(struct key *key)
{
    if (key == NULL)
        return;
    securemem_sealed_free(key->sealed);
    reply_free(&key->blob);
    reply_free(&key->comment);
    free(key);
}
