/* SPDX-License-Identifier: ISC */
#include "pem.h"

#include <securemem.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static const char begin[] = "-----BEGIN PRIVATE KEY-----";
static const char end[] = "-----END PRIVATE KEY-----";

static const char not_base64[] = "is not base64 between its BEGIN and END lines";

/* What people hand over instead, and what they should know about it. */
static const struct {
    const char *line;
    const char *answer;
} others[] = {
    {"-----BEGIN ENCRYPTED PRIVATE KEY-----",
     "holds an encrypted key; decrypt it first (openssl pkey)"},
    {"-----BEGIN PUBLIC KEY-----", "holds a public key; the private one is needed"},
    {"-----BEGIN RSA PRIVATE KEY-----", "holds an RSA key, not an Ed25519 key"},
    {"-----BEGIN EC PRIVATE KEY-----", "holds an EC key, not an Ed25519 key"},
    {"-----BEGIN DSA PRIVATE KEY-----", "holds a DSA key, not an Ed25519 key"},
    {"-----BEGIN OPENSSH PRIVATE KEY-----",
     "holds a key in OpenSSH's own format; PKCS#8 PEM is needed"},
};

static bool starts_with(struct span line, const char *text)
{
    size_t size = strlen(text);
    return line.size >= size && memcmp(line.at, text, size) == 0;
}

static bool is_line(struct span line, const char *text)
{
    return line.size == strlen(text) && starts_with(line, text);
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next line off *rest and returns it without its end and blanks before that. */
static struct span next_line(struct span *rest)
{
    struct span line = *rest;
    const unsigned char *newline = memchr(rest->at, '\n', rest->size);
    size_t taken = rest->size;
    if (newline != NULL) {
        line.size = (size_t)(newline - rest->at);
        taken = line.size + 1;
    }
    rest->at += taken;
    rest->size -= taken;
    while (line.size > 0 && is_blank(line.at[line.size - 1]))
        line.size--;
    return line;
}

static const char *decode(struct span body, unsigned char **der, size_t *size)
{
    size_t capacity = body.size / 4 * 3 + 3;
    /* sodium_base642bin looks a character up with strchr(3), which finds NUL as well. */
    if (memchr(body.at, '\0', body.size) != NULL)
        return not_base64;
    unsigned char *place = securemem_alloc(capacity);
    if (place == NULL)
        return securemem_last_error()->message;
    size_t got = 0;
    const char *stopped = NULL;
    if (sodium_base642bin(place, capacity, (const char *)body.at, body.size, " \t\r\n",
                          &got, &stopped, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        stopped != (const char *)body.at + body.size) {
        securemem_free(place);
        return not_base64;
    }
    *der = place;
    *size = got;
    return NULL;
}

/* The block whose BEGIN line stands right before rest. */
static const char *decode_block(struct span rest, unsigned char **der, size_t *size)
{
    struct span body = {rest.at, 0};
    while (rest.size > 0) {
        struct span line = next_line(&rest);
        if (!starts_with(line, "-----"))
            continue;
        if (!is_line(line, end))
            return "has another line than -----END PRIVATE KEY----- after its key";
        body.size = (size_t)(line.at - body.at);
        return decode(body, der, size);
    }
    return "is truncated: it has no line -----END PRIVATE KEY-----";
}

const char *pem_decode_private_key(struct span text, unsigned char **der, size_t *size)
{
    const char *wrong = "holds no key: it has no line -----BEGIN PRIVATE KEY-----";
    while (text.size > 0) {
        struct span line = next_line(&text);
        if (is_line(line, begin))
            return decode_block(text, der, size);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (is_line(line, others[i].line))
                wrong = others[i].answer;
    }
    return wrong;
}
