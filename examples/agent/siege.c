/* SPDX-License-Identifier: ISC */
/*
 * siege SOCKET
 *
 * Clients who mean no good, and what it does to the others: constraints that are none, keys
 * that go while they are asked for, messages that never end, more connections than there are
 * places. Exits with 1 and a line where an agent, which is empty at first, is not as it
 * should be; leaves it empty.
 */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"
#include "wire.h"

#define NAME         "ssh-ed25519"
#define PLACES       1000U /* of the agent */
#define MORE         20U
#define STALLED      60U
#define LARGEST      ((uint32_t)256 << 10)
#define PATIENCE     5000 /* milliseconds */
#define SHORT_TIME   300
#define DESCRIPTORS  (PLACES + MORE + 64)
#define FRAME_MOST   512U
#define SIGN_UNKNOWN 8U /* a flag that nobody defines */

static struct reply frame;
static unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
static unsigned char secret_key[crypto_sign_SECRETKEYBYTES];

static void begin_add(uint8_t type)
{
    dial_begin(&frame, type);
    reply_text(&frame, NAME);
    reply_string(&frame, (struct span){public_key, sizeof public_key});
    reply_string(&frame, (struct span){secret_key, sizeof secret_key});
    reply_text(&frame, "a key");
}

static void put_blob(void)
{
    size_t begun = reply_begin(&frame);
    reply_text(&frame, NAME);
    reply_string(&frame, (struct span){public_key, sizeof public_key});
    reply_end(&frame, begun);
}

static void begin_sign(uint32_t flags)
{
    dial_begin(&frame, DIAL_SIGN);
    put_blob();
    reply_text(&frame, "data");
    reply_u32(&frame, flags);
    reply_end(&frame, 0);
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
        dial_fail("siege: a list without a count");
    return count;
}

/* Each is one that the agent could only pretend to keep. */
static void refuse_constraints(int fd)
{
    static const struct {
        size_t size;
        unsigned char bytes[12];
    } refused[] = {
        {1, {0}},
        {1, {3}}, /* OpenSSH's, of XMSS keys */
        {1, {254}},
        {2, {2, 2}},                          /* confirm, twice */
        {10, {1, 0, 0, 0, 9, 1, 0, 0, 0, 1}}, /* two lifetimes */
        {5, {2, 1, 0, 0, 0}},                 /* a lifetime that is cut off, */
        {7, {1, 0, 0, 0, 9, 2, 99}},          /* what is unknown behind what is known */
        {5, {255, 0, 0, 0, 0}},               /* an extension without a name */
        {6, {255, 0, 0, 0, 1, 'x'}},
        {6, {255, 0xff, 0xff, 0xff, 0xff, 'x'}},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        begin_add(DIAL_ADD_CONSTRAINED);
        reply_bytes(&frame, (struct span){refused[i].bytes, refused[i].size});
        ask(fd, DIAL_FAILURE);
    }
    if (count_keys(fd) != 0)
        dial_fail("siege: a key was taken whose constraints are not kept");
}

/* Half a request to sign is there when the key goes. */
static void remove_meanwhile(const char *path, int fd)
{
    int other = dial(path);
    begin_add(DIAL_ADD);
    ask(fd, DIAL_SUCCESS);
    begin_sign(SIGN_UNKNOWN);
    ask(fd, DIAL_FAILURE);
    begin_sign(0);
    (void)dial_ask(fd, &frame, DIAL_SIGNED);
    begin_sign(0);
    struct span whole = reply_span(&frame);
    dial_send(other, (struct span){whole.at, whole.size / 2});
    unsigned char rest[FRAME_MOST];
    size_t rest_size = whole.size - whole.size / 2;
    if (rest_size > sizeof rest)
        dial_fail("siege: a request is too long");
    memcpy(rest, whole.at + whole.size / 2, rest_size);
    dial_begin(&frame, DIAL_REMOVE);
    put_blob();
    ask(fd, DIAL_SUCCESS);
    dial_send(other, (struct span){rest, rest_size});
    struct span answer = dial_receive(other);
    if (answer.size != 1 || answer.at[0] != DIAL_FAILURE)
        dial_fail("siege: it signs with a key that was removed");
    (void)close(other);
}

/* A client may say that it sends no more, and still wants its answer. */
static void end_half(const char *path)
{
    int fd = dial(path);
    dial_begin(&frame, DIAL_LIST);
    reply_end(&frame, 0);
    dial_send(fd, reply_span(&frame));
    (void)shutdown(fd, SHUT_WR);
    struct span answer = dial_receive(fd);
    if (answer.size == 0 || answer.at[0] != DIAL_LISTED || dial_receive(fd).size != 0)
        dial_fail("siege: half a connection is none");
    (void)close(fd);
}

/* Messages of which half comes, as large as they may be: all who do not stall are served. */
static void stall(const char *path, int fd)
{
    static unsigned char half[LARGEST / 2];
    int stalled[STALLED];
    for (size_t i = 0; i < STALLED; i++) {
        stalled[i] = dial(path);
        reply_clear(&frame);
        reply_u32(&frame, LARGEST);
        dial_send(stalled[i], reply_span(&frame));
        for (size_t sent = 0; sent < sizeof half;) { /* until it is refused, or taken */
            ssize_t more = send(stalled[i], half + sent, sizeof half - sent,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
            if (more <= 0)
                break;
            sent += (size_t)more;
        }
    }
    begin_add(DIAL_ADD);
    ask(fd, DIAL_SUCCESS);
    begin_sign(0);
    (void)dial_ask(fd, &frame, DIAL_SIGNED);
    dial_begin(&frame, DIAL_REMOVE_ALL);
    ask(fd, DIAL_SUCCESS);
    for (size_t i = 0; i < STALLED; i++)
        (void)close(stalled[i]);
}

static bool answers(int fd, int milliseconds)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, milliseconds) == 1 && dial_receive(fd).size > 0;
}

/* Who comes to a full house is served when there is a place. */
static void fill(const char *path)
{
    static int fds[PLACES + MORE];
    for (size_t i = 0; i < PLACES + MORE; i++) {
        fds[i] = dial(path);
        dial_begin(&frame, DIAL_LIST);
        reply_end(&frame, 0);
        dial_send(fds[i], reply_span(&frame));
    }
    size_t served = 0;
    while (served < PLACES + MORE && answers(fds[served], SHORT_TIME))
        served++;
    if (served < PLACES / 2 || served > PLACES)
        dial_fail("siege: it has more places, or fewer, than it should");
    for (size_t i = 0; i < served; i++)
        (void)close(fds[i]);
    for (size_t i = served; i < PLACES + MORE; i++) {
        if (!answers(fds[i], PATIENCE))
            dial_fail("siege: it forgot somebody who waited");
        (void)close(fds[i]);
    }
}

int main(int argc, char **argv)
{
    struct rlimit descriptors;
    if (argc != 2) {
        (void)fputs("usage: siege SOCKET\n", stderr);
        return 2;
    }
    if (sodium_init() < 0 || crypto_sign_keypair(public_key, secret_key) != 0)
        dial_fail("siege: libsodium does not start");
    if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0 || descriptors.rlim_max < DESCRIPTORS)
        dial_fail("siege: it needs 1,100 descriptors (ulimit -Hn)");
    descriptors.rlim_cur = DESCRIPTORS;
    if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0)
        dial_fail("siege: it may not have 1,100 descriptors");
    int fd = dial(argv[1]);
    refuse_constraints(fd);
    remove_meanwhile(argv[1], fd);
    end_half(argv[1]);
    stall(argv[1], fd);
    (void)close(fd);
    fill(argv[1]);
    fd = dial(argv[1]);
    if (count_keys(fd) != 0)
        dial_fail("siege: a key is left");
    (void)close(fd);
    reply_free(&frame);
    (void)printf(
        "%u connections, %u of them stalled: nobody was kept from being served\n",
        PLACES + MORE, STALLED);
    return EXIT_SUCCESS;
}
