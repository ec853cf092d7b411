/* SPDX-License-Identifier: ISC */
/* Text that is there already, random bytes, and encodings, by libsodium. */
#include <errno.h>
#include <securemem/scratch.h>
#include <securemem/secret.h>
#include <securemem/transfer.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "region/error.h"
#include "secret/copy.h"
#include "secret/fill.h"
#include "secret/random.h"
#include "transfer/stream.h"

#define BASE64 sodium_base64_VARIANT_ORIGINAL

static void *refuse(int result)
{
    errno = -result;
    return NULL;
}

/* Moves text of the program's own into a secret. */
static void *take(securemem_arena *arena, char *text)
{
    arena = smem_stream_arena(arena);
    size_t length = strlen(text);
    char *secret = smem_fill_begin(arena, length + 1);
    if (secret == NULL)
        return NULL;
    smem_copy(secret, text, length);
    secret = smem_fill_end(arena, secret);
    if (secret != NULL)
        sodium_memzero(text, length);
    securemem_clear_registers(); /* strlen(3) reads by vectors */
    return secret;
}

/* Those of a variable that stands there more than once, which getenv(3) does not find. */
static void wipe_others(const char *name)
{
    size_t length = strlen(name);
    for (char **variable = environ; *variable != NULL; variable++)
        if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=') {
            char *value = *variable + length + 1;
            sodium_memzero(value, strlen(value));
        }
    securemem_clear_registers();
}

void *securemem_take_env(securemem_arena *arena, const char *name)
{
    static const char operation[] = "securemem_take_env";
    if (name == NULL || name[0] == '\0' || strchr(name, '=') != NULL)
        return refuse(smem_error_argument(operation, "name is not that of a variable"));
    char *value = getenv(name);
    if (value == NULL)
        return refuse(smem_error_own(operation, ENOENT, "the variable is not set"));
    void *secret = take(arena, value);
    if (secret != NULL) {
        wipe_others(name);
        (void)unsetenv(name); /* the name is one */
    }
    return secret;
}

void *securemem_take_arg(securemem_arena *arena, char *argument)
{
    if (argument == NULL)
        return refuse(smem_error_argument("securemem_take_arg", "argument is NULL"));
    return take(arena, argument);
}

void *securemem_random(securemem_arena *arena, size_t size)
{
    arena = smem_stream_arena(arena);
    void *secret = smem_fill_begin(arena, size);
    if (secret == NULL)
        return NULL;
    smem_random_fill(secret, size);
    return smem_fill_end(arena, secret);
}

typedef int decoder(unsigned char *bin, size_t bin_maxlen, const char *text,
                    size_t length, size_t *bin_len, const char **end);

static int decode_hex(unsigned char *bin, size_t most, const char *text, size_t length,
                      size_t *size, const char **end)
{
    return sodium_hex2bin(bin, most, text, length, NULL, size, end);
}

static int decode_base64(unsigned char *bin, size_t most, const char *text, size_t length,
                         size_t *size, const char **end)
{
    return sodium_base642bin(bin, most, text, length, NULL, size, end, BASE64);
}

/* Bytes of text, of which there are no more than most. */
static void *decode(const char *operation, securemem_arena *arena, decoder *decode_text,
                    const char *text, size_t length, size_t most)
{
    if (text == NULL)
        return refuse(smem_error_argument(operation, "text is NULL"));
    arena = smem_stream_arena(arena);
    unsigned char *secret = smem_fill_begin(arena, most);
    if (secret == NULL)
        return NULL;
    size_t size = 0;
    const char *end = NULL;
    int saved_errno = errno;
    int result = decode_text(secret, most, text, length, &size, &end);
    securemem_clear_registers();
    errno = saved_errno;
    if (result != 0 || end != text + length) {
        securemem_free(secret);
        (void)smem_fill_end(arena, NULL);
        return refuse(smem_error_argument(operation, "the text is malformed"));
    }
    if (size == most)
        return smem_fill_end(arena, secret);
    void *exact = securemem_realloc(secret, size);
    if (exact == NULL) {
        int code = errno;
        securemem_free(secret);
        errno = code;
    }
    return smem_fill_end(arena, exact);
}

void *securemem_from_hex(securemem_arena *arena, const char *text, size_t length)
{
    return decode("securemem_from_hex", arena, decode_hex, text, length, length / 2);
}

void *securemem_from_base64(securemem_arena *arena, const char *text, size_t length)
{
    return decode("securemem_from_base64", arena, decode_base64, text, length,
                  length / 4 * 3);
}

/* Room for text of that length, of bytes that are there; *arena is then the one it is in. */
static char *room_for(const char *operation, securemem_arena **arena, const void *secret,
                      bool fits, size_t length)
{
    if (secret == NULL)
        return refuse(smem_error_argument(operation, "secret is NULL"));
    if (!fits)
        return refuse(smem_error_own(operation, ENOMEM,
                                     "its text is larger than the address space"));
    *arena = smem_stream_arena(*arena);
    return smem_fill_begin(*arena, length);
}

char *securemem_to_hex(securemem_arena *arena, const void *secret, size_t size)
{
    size_t length = 2 * size + 1;
    char *text =
        room_for("securemem_to_hex", &arena, secret, size < SIZE_MAX / 2, length);
    if (text == NULL)
        return NULL;
    sodium_bin2hex(text, length, secret, size);
    securemem_clear_registers();
    return smem_fill_end(arena, text);
}

char *securemem_to_base64(securemem_arena *arena, const void *secret, size_t size)
{
    bool fits = size < SIZE_MAX / 2;
    size_t length = fits ? sodium_base64_encoded_len(size, BASE64) : 0;
    char *text = room_for("securemem_to_base64", &arena, secret, fits, length);
    if (text == NULL)
        return NULL;
    sodium_bin2base64(text, length, secret, size, BASE64);
    securemem_clear_registers();
    return smem_fill_end(arena, text);
}
