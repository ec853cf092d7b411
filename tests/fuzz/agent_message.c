/* SPDX-License-Identifier: ISC */
/*
 * Messages to examples/agent, of any bytes: every answer is one well-formed frame, and a key
 * is listed as often as the count says. An input is a row of messages, each after its size
 * in two bytes, to an agent that has one key that wants confirmation.
 */
#include <securemem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/libcrypto.h"
#include "agent/wire.h"
#include "fuzz/fuzz.h"

#define SIZE_BYTES 2U
#define MESSAGES   64U

enum {
    FAILURE = 5,
    SUCCESS = 6,
    LIST = 11,
    LISTED = 12,
    SIGN = 13,
    SIGNED = 14,
    ADD = 17
};

/* The lock of the agent without its hash, which takes longer than a thousand messages. */
bool lock_close(struct lock *lock, struct span passphrase)
{
    if (lock->hash != NULL)
        return false;
    lock->hash = securemem_alloc(passphrase.size);
    if (lock->hash != NULL && passphrase.size > 0)
        memcpy(lock->hash, passphrase.at, passphrase.size);
    return lock->hash != NULL;
}

bool lock_open(struct lock *lock, struct span passphrase, uint64_t now)
{
    if (lock->hash != NULL && securemem_size(lock->hash) == passphrase.size &&
        (passphrase.size == 0 ||
         memcmp(lock->hash, passphrase.at, passphrase.size) == 0)) {
        lock_end(lock);
        return true;
    }
    lock->not_before = now + 1;
    return false;
}

void lock_end(struct lock *lock)
{
    securemem_free(lock->hash);
    *lock = (struct lock){0};
}

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static void check_list(struct span rest)
{
    struct span blob, comment;
    uint32_t count;
    require(wire_u32(&rest, &count), "a list has a count");
    for (uint32_t i = 0; i < count; i++)
        require(wire_string(&rest, &blob) && wire_string(&rest, &comment),
                "a list has what it counts");
    require(rest.size == 0, "a list has no more than it counts");
}

static void check_signature(struct span rest)
{
    struct span whole, name, signature;
    require(wire_string(&rest, &whole) && rest.size == 0 && wire_string(&whole, &name) &&
                wire_string(&whole, &signature) && whole.size == 0,
            "a signature is a name and bytes");
}

static void check_reply(const struct reply *reply)
{
    struct span rest = reply_span(reply);
    uint32_t size;
    uint8_t type = 0;
    require(!reply->failed, "there is memory");
    require(wire_u32(&rest, &size) && size == rest.size && wire_u8(&rest, &type),
            "a reply is one frame");
    if (type == LISTED)
        check_list(rest);
    else if (type == SIGNED)
        check_signature(rest);
    else
        require((type == FAILURE || type == SUCCESS) && rest.size == 0,
                "a reply is a failure or a success");
}

/* In a secret of its own size: a guard is behind its last byte. */
static void give(struct agent *agent, struct span message, uint64_t *now)
{
    unsigned char *secret = securemem_alloc_aligned(message.size, 1);
    struct reply reply = {0};
    require(secret != NULL, "a secret");
    if (message.size > 0)
        memcpy(secret, message.at, message.size);
    struct request request = {.message = {secret, message.size}, .now = *now};
    enum outcome outcome = agent_answer(agent, &request, &reply);
    if (outcome == OUTCOME_CONFIRM) {
        require(memchr(request.question.bytes, '\0', request.question.size) ==
                    request.question.bytes + request.question.size - 1,
                "a question is one text");
        reply_free(&request.question);
        request.confirmed = true;
        outcome = agent_answer(agent, &request, &reply);
    }
    if (outcome == OUTCOME_LATER) {
        request.now = *now = request.later;
        outcome = agent_answer(agent, &request, &reply);
    }
    require(outcome == OUTCOME_ANSWERED, "an answer");
    check_reply(&reply);
    reply_free(&reply);
    reply_free(&request.question);
    securemem_free(secret);
}

static struct reply seeds[MESSAGES];
static size_t seeds_count;

static struct reply *add_seed(uint8_t type)
{
    struct reply *seed = &seeds[seeds_count++];
    reply_u8(seed, type);
    return seed;
}

/* Keys in form, whose numbers are none: what libcrypto is given before it refuses them. */
static void make_broken_seeds(void)
{
    static const uint8_t sizes[] = {128, 3, 128, 64, 64, 64}; /* n, e, d, 1/q, p, q */
    unsigned char number[128];
    memset(number, 0x41, sizeof number);
    struct reply *rsa = add_seed(ADD), *ecdsa = add_seed(ADD);
    reply_text(rsa, "ssh-rsa");
    for (size_t i = 0; i < sizeof sizes; i++)
        reply_positive(rsa, (struct span){number, sizes[i]});
    reply_text(rsa, "");
    reply_text(ecdsa, "ecdsa-sha2-nistp256");
    reply_text(ecdsa, "nistp256");
    number[0] = 4;
    reply_string(ecdsa, (struct span){number, 65});
    reply_positive(ecdsa, (struct span){number, 32});
    reply_text(ecdsa, "");
}

static void make_seeds(void)
{
    static const uint8_t adds[] = {ADD, 25};
    static const uint8_t bare[] = {LIST, 19, 22, 23, 27, SIGN, 18};
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    static const unsigned char seed[crypto_sign_SEEDBYTES] = {1};
    (void)crypto_sign_seed_keypair(public_key, secret_key, seed);
    for (size_t i = 0; i < sizeof adds; i++) {
        struct reply *message = add_seed(adds[i]);
        reply_text(message, "ssh-ed25519");
        reply_string(message, (struct span){public_key, sizeof public_key});
        reply_string(message, (struct span){secret_key, sizeof secret_key});
        reply_text(message, "a comment");
        if (adds[i] == 25)
            reply_bytes(message, (struct span){(const unsigned char *)"\1\0\0\0\1\2", 6});
    }
    for (size_t i = 0; i < sizeof bare; i++) {
        struct reply *message = add_seed(bare[i]);
        if (bare[i] == SIGN || bare[i] == 18) {
            size_t begun = reply_begin(message);
            reply_text(message, "ssh-ed25519");
            reply_string(message, (struct span){public_key, sizeof public_key});
            reply_end(message, begun);
        }
        if (bare[i] == SIGN || bare[i] == 22 || bare[i] == 23)
            reply_text(message, "text");
        if (bare[i] == SIGN)
            reply_u32(message, 0);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    require(sodium_init() >= 0 && libcrypto_start() == NULL, "the libraries start");
    make_seeds();
    make_broken_seeds();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent agent = {0};
    uint64_t now = 1;
    give(&agent, reply_span(&seeds[1]), &now);
    require(agent.keys.count == 1, "a well-formed key is taken");
    while (size >= SIZE_BYTES) {
        size_t length = (size_t)data[0] << 8 | data[1];
        data += SIZE_BYTES;
        size -= SIZE_BYTES;
        length = length < size ? length : size;
        give(&agent, (struct span){data, length}, &now);
        data += length;
        size -= length;
        now++;
    }
    agent_end(&agent);
    return 0;
}

size_t fuzz_seed(size_t which, uint8_t *out, size_t room)
{
    const struct reply *seed = &seeds[which % seeds_count];
    require(SIZE_BYTES + seed->size <= room, "a seed fits");
    out[0] = (uint8_t)(seed->size >> 8);
    out[1] = (uint8_t)seed->size;
    memcpy(out + SIZE_BYTES, seed->bytes, seed->size);
    return SIZE_BYTES + seed->size;
}
