/* SPDX-License-Identifier: ISC */
/*
 * strain SOCKET
 *
 * Gives an empty agent what no client should send, and more keys and clients than most
 * have. Exits with 1 and a line where an answer is not as it should be; leaves it empty.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dial.h"
#include "wire.h"

#define KEYS       1000U
#define CLIENTS    100U
#define LARGEST    (256U << 10)
#define NAME       "ssh-ed25519"
#define KNOWN_SEED 7U

static struct reply frame;

static void derive(uint32_t number, unsigned char public_key[crypto_sign_PUBLICKEYBYTES],
                   unsigned char secret_key[crypto_sign_SECRETKEYBYTES])
{
    unsigned char seed[crypto_sign_SEEDBYTES] = {KNOWN_SEED};
    memcpy(seed + 1, &number, sizeof number);
    (void)crypto_sign_seed_keypair(public_key, secret_key, seed);
}

static void put_add(uint8_t type, uint32_t number)
{
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    derive(number, public_key, secret_key);
    dial_begin(&frame, type);
    reply_text(&frame, NAME);
    reply_string(&frame, (struct span){public_key, sizeof public_key});
    reply_string(&frame, (struct span){secret_key, sizeof secret_key});
    reply_text(&frame, "a key");
}

static void put_blob(uint32_t number)
{
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    derive(number, public_key, secret_key);
    size_t begun = reply_begin(&frame);
    reply_text(&frame, NAME);
    reply_string(&frame, (struct span){public_key, sizeof public_key});
    reply_end(&frame, begun);
}

static void ask(int fd, uint8_t due)
{
    reply_end(&frame, 0);
    (void)dial_ask(fd, &frame, due);
}

static uint32_t count_keys(int fd)
{
    uint32_t count;
    dial_begin(&frame, DIAL_LIST);
    reply_end(&frame, 0);
    struct span listed = dial_ask(fd, &frame, DIAL_LISTED);
    if (!wire_u32(&listed, &count))
        dial_fail("strain: a list without a count");
    return count;
}

/* Every message there is, cut after each of its bytes. */
static void truncate_all(int fd)
{
    static const unsigned char constraints[] = {1, 0, 0, 1, 0, 2};
    for (unsigned kind = 0; kind < 4; kind++) {
        if (kind < 2)
            put_add(kind == 0 ? DIAL_ADD : DIAL_ADD_CONSTRAINED, 0);
        else
            dial_begin(&frame, kind == 2 ? DIAL_SIGN : DIAL_REMOVE);
        if (kind == 1)
            reply_bytes(&frame, (struct span){constraints, sizeof constraints});
        if (kind >= 2)
            put_blob(0);
        if (kind == 2) {
            reply_text(&frame, "data");
            reply_u32(&frame, 0);
        }
        size_t whole = frame.size, constrained = whole - sizeof constraints;
        for (size_t size = 5; size < whole; size++) {
            /* Without, or between, its constraints a message is whole. */
            if (kind == 1 && (size == constrained || size == whole - 1))
                continue;
            frame.size = size;
            ask(fd, DIAL_FAILURE);
        }
    }
    if (count_keys(fd) != 0)
        dial_fail("strain: a truncated key was added");
}

static void refuse_what_is_unknown(int fd)
{
    static const uint8_t known[] = {DIAL_LIST, DIAL_REMOVE_ALL};
    for (unsigned type = 0; type < 256; type++) {
        if (type == known[0] || type == known[1])
            continue;
        dial_begin(&frame, (uint8_t)type);
        ask(fd, DIAL_FAILURE);
    }
    put_add(DIAL_ADD_CONSTRAINED, 0);
    reply_u8(&frame, 255); /* an extension */
    reply_text(&frame, "restrict-destination-v00@openssh.com");
    reply_text(&frame, "");
    ask(fd, DIAL_FAILURE);
    put_add(DIAL_ADD, 0);
    reply_u8(&frame, 0); /* one byte too many */
    ask(fd, DIAL_FAILURE);
    put_add(DIAL_ADD, 0);
    frame.bytes[frame.size - 5 - 4 - crypto_sign_SECRETKEYBYTES] ^= 1; /* the seed */
    ask(fd, DIAL_FAILURE);
    dial_begin(&frame, DIAL_EXTENSION);
    reply_text(&frame, "session-bind@openssh.com");
    ask(fd, DIAL_FAILURE);
    if (count_keys(fd) != 0)
        dial_fail("strain: a key that is none was added");
}

/* A size that no message has is refused before more is read, and ends the connection. */
static void refuse_size(const char *path, uint32_t size)
{
    int fd = dial(path);
    reply_clear(&frame);
    reply_u32(&frame, size);
    (void)dial_ask(fd, &frame, DIAL_FAILURE);
    if (dial_receive(fd).size != 0)
        dial_fail("strain: it goes on after what it cannot understand");
    (void)close(fd);
}

static void send_largest(int fd)
{
    static unsigned char data[LARGEST];
    dial_begin(&frame, DIAL_SIGN);
    put_blob(0);
    reply_string(&frame,
                 (struct span){data, LARGEST + 4 - frame.size - 4 - sizeof(uint32_t)});
    reply_u32(&frame, 0);
    ask(fd, DIAL_FAILURE); /* there is no such key, but it was read */
}

/* Each client has sent half a message when the next one begins. */
static void add_at_once(const char *path, int fds[CLIENTS])
{
    for (size_t i = 0; i < CLIENTS; i++)
        fds[i] = dial(path);
    for (uint32_t first = 0; first < KEYS; first += CLIENTS)
        for (unsigned half = 0; half < 2; half++)
            for (uint32_t i = 0; i < CLIENTS; i++) {
                put_add(DIAL_ADD, first + i);
                reply_end(&frame, 0);
                size_t middle = frame.size / 2;
                struct span begin = {frame.bytes, middle};
                struct span end = {frame.bytes + middle, frame.size - middle};
                dial_send(fds[i], half == 0 ? begin : end);
                struct span answer = {0};
                if (half == 1)
                    answer = dial_receive(fds[i]);
                if (half == 1 && (answer.size != 1 || answer.at[0] != DIAL_SUCCESS))
                    dial_fail("strain: a key is not taken");
            }
}

static void sign_with_all(const int fds[CLIENTS])
{
    static const unsigned char data[] = "what is to be signed";
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    for (uint32_t i = 0; i < KEYS; i++) {
        struct span whole, name, signature;
        dial_begin(&frame, DIAL_SIGN);
        put_blob(i);
        reply_string(&frame, (struct span){data, sizeof data});
        reply_u32(&frame, 0);
        reply_end(&frame, 0);
        struct span answer = dial_ask(fds[i % CLIENTS], &frame, DIAL_SIGNED);
        derive(i, public_key, secret_key);
        if (!wire_string(&answer, &whole) || !wire_string(&whole, &name) ||
            !wire_string(&whole, &signature) || !wire_is(name, NAME) ||
            signature.size != crypto_sign_BYTES ||
            crypto_sign_verify_detached(signature.at, data, sizeof data, public_key) != 0)
            dial_fail("strain: a signature is not by its key");
    }
}

static void remove_each(const int fds[CLIENTS])
{
    for (uint32_t i = 0; i < KEYS; i++) {
        dial_begin(&frame, DIAL_REMOVE);
        put_blob(i);
        ask(fds[i % CLIENTS], DIAL_SUCCESS);
    }
}

int main(int argc, char **argv)
{
    int fds[CLIENTS];
    if (argc != 2) {
        (void)fputs("usage: strain SOCKET\n", stderr);
        return 2;
    }
    if (sodium_init() < 0)
        dial_fail("strain: libsodium does not start");
    int fd = dial(argv[1]);
    truncate_all(fd);
    refuse_what_is_unknown(fd);
    send_largest(fd);
    refuse_size(argv[1], 0);
    refuse_size(argv[1], LARGEST + 1);
    refuse_size(argv[1], UINT32_MAX);
    add_at_once(argv[1], fds);
    if (count_keys(fd) != KEYS)
        dial_fail("strain: not all keys are listed");
    sign_with_all(fds);
    remove_each(fds);
    if (count_keys(fd) != 0)
        dial_fail("strain: a removed key is listed");
    for (size_t i = 0; i < CLIENTS; i++)
        (void)close(fds[i]);
    (void)close(fd);
    reply_free(&frame);
    (void)printf("%u keys by %u clients at once, and nothing malformed was taken\n", KEYS,
                 CLIENTS);
    return EXIT_SUCCESS;
}
