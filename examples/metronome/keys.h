/* SPDX-License-Identifier: ISC */
/*
 * The service's secrets: the token that a request has to bear, and the key that stamps.
 * Both live in guarded, locked memory, are made before the service enters its mode, and
 * stay locked when it leaves. They rest readable, for opening a closed secret is an
 * mprotect(2), which interrupts the ticking thread.
 */
#ifndef METRONOME_KEYS_H
#define METRONOME_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_MAC_BYTES   32U
#define KEYS_TEXT_MAX    256U /* bytes that are stamped */
#define KEYS_TOKEN_LEAST 16U
#define KEYS_TOKEN_MAX   128U

struct keys {
    unsigned char *token;
    size_t token_length;
    unsigned char *stamping; /* of this run: what it stamped, no later run confirms */
};

/* That a text was seen at a tick: a MAC over all three. */
struct stamp {
    uint64_t tick;
    uint64_t time; /* nanoseconds of CLOCK_REALTIME */
    unsigned char mac[KEYS_MAC_BYTES];
};

/*
 * Reads a token with read(2) straight into its secret: 16 to 128 printable characters
 * without a space, and perhaps a newline. The caller frees *token with securemem_free.
 */
const char *keys_read_token(const char *path, unsigned char **token, size_t *length);

/* Reads the token and makes a key. keys_free wipes both; it takes a zero-filled struct. */
const char *keys_load(struct keys *keys, const char *token_path);
void keys_free(struct keys *keys);

/* Whether it is the token, in a time that depends on the length alone. */
bool keys_admit(const struct keys *keys, const unsigned char *token, size_t length);

/* Fills stamp->mac from tick, time and text, of at most KEYS_TEXT_MAX bytes. */
void keys_stamp(const struct keys *keys, struct stamp *stamp, const unsigned char *text,
                size_t length);
bool keys_confirm(const struct keys *keys, const struct stamp *stamp,
                  const unsigned char *text, size_t length);

/* How many of the two the kernel says are locked, now. */
unsigned keys_locked(const struct keys *keys);

#endif
