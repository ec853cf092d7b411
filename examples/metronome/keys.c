/* SPDX-License-Identifier: ISC */
#include "keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <securemem.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

static_assert(KEYS_MAC_BYTES == crypto_auth_BYTES, "what libsodium writes");

/* libsodium leaves the key's two pads in its hash states: less than 1 KiB (1.0.18). */
#define STACK_OF_STAMPING 4096

static const char *why(void)
{
    return securemem_last_error()->message;
}

/* Reads until the end of the file or until secret is full. 0, or -1 with errno. */
static int fill(int fd, unsigned char *secret, size_t capacity, size_t *size)
{
    *size = 0;
    while (*size < capacity) {
        ssize_t got = read(fd, secret + *size, capacity - *size);
        if (got == 0)
            return 0;
        if (got > 0)
            *size += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static const char *check_token(const unsigned char *token, size_t *length)
{
    if (*length > 0 && token[*length - 1] == '\n')
        --*length;
    bool printable = true;
    for (size_t i = 0; i < *length; i++)
        printable &= token[i] > ' ' && token[i] < 0x7f;
    if (!printable || *length < KEYS_TOKEN_LEAST || *length > KEYS_TOKEN_MAX)
        return "is not a token: 16 to 128 printable characters without a space";
    return NULL;
}

const char *keys_read_token(const char *path, unsigned char **token, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return strerror(errno);
    /* Two more: a newline, and the byte that tells a token from a longer file. */
    const char *wrong;
    unsigned char *place = securemem_alloc(KEYS_TOKEN_MAX + 2);
    size_t size = 0;
    if (place == NULL)
        wrong = why();
    else if (fill(fd, place, KEYS_TOKEN_MAX + 2, &size) != 0)
        wrong = strerror(errno);
    else
        wrong = check_token(place, &size);
    (void)close(fd);
    if (wrong != NULL) {
        securemem_free(place);
        return wrong;
    }
    *token = place;
    *length = size;
    return NULL;
}

const char *keys_load(struct keys *keys, const char *token_path)
{
    const char *wrong = keys_read_token(token_path, &keys->token, &keys->token_length);
    if (wrong != NULL)
        return wrong;
    keys->stamping = securemem_alloc(crypto_auth_KEYBYTES);
    if (keys->stamping == NULL)
        return why();
    crypto_auth_keygen(keys->stamping);
    if (securemem_set_access(keys->stamping, SECUREMEM_READ) != 0 ||
        securemem_set_access(keys->token, SECUREMEM_READ) != 0)
        return why();
    return NULL;
}

void keys_free(struct keys *keys)
{
    securemem_free(keys->token);
    securemem_free(keys->stamping);
    *keys = (struct keys){0};
}

bool keys_admit(const struct keys *keys, const unsigned char *token, size_t length)
{
    return length == keys->token_length && securemem_equal(token, keys->token, length);
}

/* The numbers have a fixed length, so that no two messages look alike. */
static size_t compose(unsigned char *message, const struct stamp *stamp,
                      const unsigned char *text, size_t length)
{
    const size_t number = sizeof(uint64_t);
    memcpy(message, &stamp->tick, number);
    memcpy(message + number, &stamp->time, number);
    memcpy(message + 2 * number, text, length);
    return 2 * number + length;
}

void keys_stamp(const struct keys *keys, struct stamp *stamp, const unsigned char *text,
                size_t length)
{
    unsigned char message[2 * sizeof(uint64_t) + KEYS_TEXT_MAX];
    size_t size = compose(message, stamp, text, length);
    (void)crypto_auth(stamp->mac, message, size, keys->stamping); /* returns 0 only */
    sodium_stackzero(STACK_OF_STAMPING);
}

bool keys_confirm(const struct keys *keys, const struct stamp *stamp,
                  const unsigned char *text, size_t length)
{
    unsigned char message[2 * sizeof(uint64_t) + KEYS_TEXT_MAX];
    size_t size = compose(message, stamp, text, length);
    bool genuine = crypto_auth_verify(stamp->mac, message, size, keys->stamping) == 0;
    sodium_stackzero(STACK_OF_STAMPING);
    return genuine;
}

unsigned keys_locked(const struct keys *keys)
{
    const void *const secrets[] = {keys->token, keys->stamping};
    unsigned locked = 0;
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        securemem_protection now;
        if (securemem_protection(secrets[i], &now) == 0 && now.lock.holds)
            locked++;
    }
    return locked;
}
