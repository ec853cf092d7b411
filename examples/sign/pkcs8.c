/* SPDX-License-Identifier: ISC */
#include "pkcs8.h"

#include <stdbool.h>
#include <string.h>

#define TAG_INTEGER      0x02
#define TAG_OCTET_STRING 0x04
#define TAG_OID          0x06
#define TAG_SEQUENCE     0x30
#define TAG_PUBLIC_KEY   0x81 /* [1] IMPLICIT BIT STRING */
#define TAG_ATTRIBUTES   0xa0 /* [0] IMPLICIT SET */

#define KEY_SIZE    32
#define VERSION_MAX 1

static const char malformed[] = "is not a PKCS#8 private key: its DER is malformed";

static const unsigned char ed25519[] = {0x2b, 0x65, 0x70};

/* Keys of other kinds, by the object identifier of their algorithm. */
static const struct {
    unsigned char id[9];
    size_t size;
    const char *answer;
} others[] = {
    {{0x2b, 0x65, 0x6e}, 3, "holds an X25519 key, not an Ed25519 key"},
    {{0x2b, 0x65, 0x6f}, 3, "holds an X448 key, not an Ed25519 key"},
    {{0x2b, 0x65, 0x71}, 3, "holds an Ed448 key, not an Ed25519 key"},
    {{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1},
     9,
     "holds an RSA key, not an Ed25519 key"},
    {{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10},
     9,
     "holds an RSA-PSS key, not an Ed25519 key"},
    {{0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}, 7, "holds an EC key, not an Ed25519 key"},
    {{0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1}, 7, "holds a DSA key, not an Ed25519 key"},
};

static bool equals(struct span span, const unsigned char *bytes, size_t size)
{
    return span.size == size && memcmp(span.at, bytes, size) == 0;
}

/*
 * Reads the length at *rest: up to two octets, which a key file cannot exceed, in the
 * shortest form, which DER demands.
 */
static bool take_length(struct span *rest, size_t *length)
{
    if (rest->size == 0)
        return false;
    size_t first = *rest->at;
    size_t octets = first < 0x80 ? 0 : first - 0x80;
    if ((first >= 0x80 && octets == 0) || octets > 2 || rest->size < 1 + octets)
        return false;
    size_t value = first;
    if (octets > 0) {
        value = rest->at[1];
        if (octets == 2)
            value = value << 8 | rest->at[2];
        if (value < (octets == 1 ? 0x80U : 0x100U))
            return false;
    }
    rest->at += 1 + octets;
    rest->size -= 1 + octets;
    *length = value;
    return true;
}

/* Takes one element off *rest where it has this tag and is whole. */
static bool take(struct span *rest, unsigned char tag, struct span *content)
{
    struct span after = *rest;
    size_t length;
    if (after.size == 0 || *after.at != tag)
        return false;
    after.at++;
    after.size--;
    if (!take_length(&after, &length) || length > after.size)
        return false;
    *content = (struct span){after.at, length};
    *rest = (struct span){after.at + length, after.size - length};
    return true;
}

static const char *check_algorithm(struct span algorithm)
{
    struct span id;
    if (!take(&algorithm, TAG_OID, &id))
        return malformed;
    if (equals(id, ed25519, sizeof ed25519))
        return algorithm.size == 0 ? NULL : malformed;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (equals(id, others[i].id, others[i].size))
            return others[i].answer;
    return "holds a key of an unknown kind, not an Ed25519 key";
}

/* What may follow the private key: attributes, and in v2 the public key. */
static bool take_optional(struct span rest, int version, struct span *public_key)
{
    struct span content = {NULL, 0};
    if (rest.size > 0 && *rest.at == TAG_ATTRIBUTES &&
        !take(&rest, TAG_ATTRIBUTES, &content))
        return false;
    *public_key = (struct span){NULL, 0};
    if (rest.size == 0)
        return true;
    if (version < 1 || !take(&rest, TAG_PUBLIC_KEY, &content) || rest.size > 0)
        return false;
    if (content.size != 1 + KEY_SIZE || *content.at != 0) /* no unused bits */
        return false;
    *public_key = (struct span){content.at + 1, KEY_SIZE};
    return true;
}

const char *pkcs8_parse(struct span der, struct pkcs8 *out)
{
    struct span key, version, algorithm, wrapped;
    struct pkcs8 result;
    if (!take(&der, TAG_SEQUENCE, &key) || der.size > 0 ||
        !take(&key, TAG_INTEGER, &version) || version.size != 1 ||
        *version.at > VERSION_MAX || !take(&key, TAG_SEQUENCE, &algorithm))
        return malformed;
    const char *wrong = check_algorithm(algorithm);
    if (wrong != NULL)
        return wrong;
    if (!take(&key, TAG_OCTET_STRING, &wrapped) ||
        !take(&wrapped, TAG_OCTET_STRING, &result.seed) || wrapped.size > 0 ||
        result.seed.size != KEY_SIZE ||
        !take_optional(key, *version.at, &result.public_key))
        return malformed;
    *out = result;
    return NULL;
}
