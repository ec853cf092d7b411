/* SPDX-License-Identifier: ISC */
#include "request.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static_assert(REQUEST_MAX > KEYS_TOKEN_MAX + KEYS_TEXT_MAX + 2 * KEYS_MAC_BYTES + 50,
              "the longest request that is one fits");

const char request_unknown[] = "the token is missing, or not the one of this service";

struct span {
    const unsigned char *at;
    size_t size;
};

/* Cuts the first word off, and the space behind it. */
static struct span cut_word(struct span *rest)
{
    const unsigned char *space =
        rest->size == 0 ? NULL : memchr(rest->at, ' ', rest->size);
    struct span word = {rest->at,
                        space == NULL ? rest->size : (size_t)(space - rest->at)};
    size_t taken = space == NULL ? word.size : word.size + 1;
    rest->at += taken;
    rest->size -= taken;
    return word;
}

static bool is(struct span word, const char *name)
{
    return word.size == strlen(name) && memcmp(word.at, name, word.size) == 0;
}

static bool read_number(struct span word, uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < word.size; i++) {
        unsigned digit = word.at[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *number = value;
    return word.size > 0;
}

static bool read_mac(struct span word, unsigned char mac[KEYS_MAC_BYTES])
{
    size_t size;
    return word.size == 2 * (size_t)KEYS_MAC_BYTES &&
           sodium_hex2bin(mac, KEYS_MAC_BYTES, (const char *)word.at, word.size, NULL,
                          &size, NULL) == 0 &&
           size == KEYS_MAC_BYTES;
}

static const char *read_text(struct span text, struct request *request)
{
    if (text.size == 0)
        return "there is no text";
    if (text.size > KEYS_TEXT_MAX)
        return "the text is longer than 256 bytes";
    request->text = text.at;
    request->length = text.size;
    return NULL;
}

static const char *read_verify(struct span rest, struct request *request)
{
    struct stamp *stamp = &request->stamp;
    if (!read_number(cut_word(&rest), &stamp->tick) ||
        !read_number(cut_word(&rest), &stamp->time) ||
        !read_mac(cut_word(&rest), stamp->mac))
        return "verify takes TICK TIME MAC TEXT, as stamp gave them";
    return read_text(rest, request);
}

const char *request_parse(const struct keys *keys, const unsigned char *packet,
                          size_t length, struct request *request)
{
    struct span rest = {packet, length};
    struct span token = cut_word(&rest);
    if (!keys_admit(keys, token.at, token.size))
        return request_unknown;
    struct span verb = cut_word(&rest);
    *request = (struct request){.kind = REQUEST_STATS};
    if (is(verb, "stats") && rest.size == 0)
        return NULL;
    request->kind = REQUEST_WORK;
    if (is(verb, "work") && rest.size == 0)
        return NULL;
    request->kind = REQUEST_STAMP;
    if (is(verb, "stamp"))
        return read_text(rest, request);
    request->kind = REQUEST_VERIFY;
    if (is(verb, "verify"))
        return read_verify(rest, request);
    return "a request is one of stats, work, stamp TEXT, verify TICK TIME MAC TEXT";
}
