/* SPDX-License-Identifier: ISC */
/*
 * load SOCKET CONNECTIONS SECONDS
 *
 * Asks an SSH agent for signatures by the first key it lists, over so many connections at
 * once, one request on each at a time, and prints how many it made in a second. The same
 * for every agent. Exits with 1 where one answer is not a signature.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dial.h"
#include "wire.h"

#define CONNECTIONS_MOST 1000U
#define DATA_BYTES       256U /* about what ssh(1) has signed */

#define RSA_SHA2_512 4U /* a flag that is for RSA alone */

/* A frame that asks for a signature by the agent's first key. */
static void prepare(const char *path, struct reply *request)
{
    static const unsigned char data[DATA_BYTES];
    struct span blob;
    uint32_t count;
    int fd = dial(path);
    dial_begin(request, DIAL_LIST);
    reply_end(request, 0);
    struct span listed = dial_ask(fd, request, DIAL_LISTED);
    if (!wire_u32(&listed, &count) || count == 0 || !wire_string(&listed, &blob))
        dial_fail("load: the agent has no key");
    dial_begin(request, DIAL_SIGN);
    reply_string(request, blob);
    reply_string(request, (struct span){data, sizeof data});
    reply_u32(request, RSA_SHA2_512);
    reply_end(request, 0);
    (void)close(fd);
    if (request->failed)
        dial_fail("load: there is no memory");
}

static double seconds_now(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Answers of this size come whole: what is ready is one. */
static void take_signature(int fd)
{
    struct span answer = dial_receive(fd);
    if (answer.size == 0 || answer.at[0] != DIAL_SIGNED)
        dial_fail("load: an answer is not a signature");
}

static double measure(const char *path, size_t count, double seconds)
{
    static struct pollfd polled[CONNECTIONS_MOST];
    struct reply request = {0};
    unsigned long made = 0;
    prepare(path, &request);
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = dial(path), .events = POLLIN};
    for (size_t i = 0; i < count; i++)
        dial_send(polled[i].fd, reply_span(&request));
    double begun = seconds_now(), now = begun;
    while (now - begun < seconds) {
        (void)poll(polled, count, -1);
        for (size_t i = 0; i < count; i++) {
            if (polled[i].revents == 0)
                continue;
            take_signature(polled[i].fd);
            made++;
            dial_send(polled[i].fd, reply_span(&request));
        }
        now = seconds_now();
    }
    for (size_t i = 0; i < count; i++)
        (void)close(polled[i].fd);
    reply_free(&request);
    return (double)made / (now - begun);
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    double seconds = argc == 4 ? strtod(argv[3], NULL) : 0;
    if (count < 1 || count > CONNECTIONS_MOST || !(seconds > 0)) {
        (void)fputs("usage: load SOCKET CONNECTIONS SECONDS\n", stderr);
        return 2;
    }
    (void)printf("%.0f\n", measure(argv[1], count, seconds));
    return EXIT_SUCCESS;
}
