/* SPDX-License-Identifier: ISC */
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS    32
#define LINE_BYTES 80
#define TEXT_BYTES 512

struct client {
    size_t length;
    char line[LINE_BYTES];
};

int server_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        (void)fprintf(stderr, "metronome: the socket's path is too long\n");
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || probe < 0)
        goto fail;
    bool lives = connect(probe, (const struct sockaddr *)&address, sizeof address) == 0;
    (void)close(probe);
    if (lives) {
        (void)fprintf(stderr, "metronome: another one listens at this socket\n");
        (void)close(listener);
        return -1;
    }
    (void)unlink(path); /* nobody listens there; if it is no socket, bind says so */
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(listener, CLIENTS) == 0)
        return listener;
fail:
    perror("metronome: socket");
    if (listener >= 0)
        (void)close(listener);
    return -1;
}

void server_stats(const struct ticker *ticker, char *line, size_t size)
{
    const securemem_rt_section *s = &ticker->section;
    (void)snprintf(line, size,
                   "mode=%s ticks=%" PRIuFAST64 " missed=%" PRIuFAST64 " sum=%" PRIuFAST64
                   " p50=%" PRIu64 " p99=%" PRIu64 " p999=%" PRIu64 " max=%" PRIuFAST64
                   " minor=%" PRIu64 " major=%" PRIu64 " system=%" PRIu64
                   " populated=%" PRIu64 " witness=%d",
                   ticker_mode_names[ticker->mode], atomic_load(&ticker->ticks),
                   atomic_load(&ticker->missed), atomic_load(&ticker->sum),
                   histogram_at(&ticker->work, 500), histogram_at(&ticker->work, 990),
                   histogram_at(&ticker->work, 999), atomic_load(&ticker->work.most),
                   s->user_minor, s->user_major, s->system, s->populated,
                   (int)s->witness);
}

/* An answer that the client does not take is its loss. */
static void answer(int connection, const char *text)
{
    (void)send(connection, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* False where the connection is to be closed. */
static bool obey(int connection, const char *line, struct ticker *ticker)
{
    char text[TEXT_BYTES], *end;
    if (strcmp(line, "stats") == 0) {
        server_stats(ticker, text, sizeof text - 1);
        memcpy(text + strlen(text), "\n", sizeof "\n"); /* there is room for it */
        answer(connection, text);
        return true;
    }
    if (strncmp(line, "add ", 4) == 0 && line[4] >= '0' && line[4] <= '9') {
        errno = 0;
        unsigned long long number = strtoull(line + 4, &end, 10);
        if (*end == '\0' && errno == 0) {
            answer(connection, ticker_add(ticker, number) ? "ok\n" : "busy\n");
            return true;
        }
    }
    answer(connection, "error: there are: add NUMBER, stats\n");
    return false;
}

/* Lines that are complete are obeyed; false where the connection is to be closed. */
static bool read_client(int connection, struct client *client, struct ticker *ticker)
{
    long count = recv(connection, client->line + client->length,
                      sizeof client->line - client->length, MSG_DONTWAIT);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    if (count == 0)
        return false;
    client->length += (size_t)count;
    char *end;
    while ((end = memchr(client->line, '\n', client->length)) != NULL) {
        *end = '\0';
        if (!obey(connection, client->line, ticker))
            return false;
        client->length -= (size_t)(end + 1 - client->line);
        memmove(client->line, end + 1, client->length);
    }
    if (client->length < sizeof client->line)
        return true;
    answer(connection, "error: the line is too long\n");
    return false;
}

static bool is_own_user(int connection)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.uid == geteuid();
}

static void accept_client(int listener, struct pollfd *polls, struct client *clients)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return; /* gone again, or descriptors are short: who waits is told later */
    for (int i = 0; i < CLIENTS && is_own_user(connection); i++)
        if (polls[i].fd < 0) {
            polls[i] = (struct pollfd){.fd = connection, .events = POLLIN};
            clients[i].length = 0;
            return;
        }
    answer(connection, "error: not for this user, or too many clients\n");
    (void)close(connection);
}

static long milliseconds_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* never fails */
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void server_run(int listener, int signals, int milliseconds, struct ticker *ticker)
{
    static struct client clients[CLIENTS];
    struct pollfd polls[CLIENTS + 2];
    for (int i = 0; i < CLIENTS; i++)
        polls[i].fd = -1;
    polls[CLIENTS] = (struct pollfd){.fd = listener, .events = POLLIN};
    polls[CLIENTS + 1] = (struct pollfd){.fd = signals, .events = POLLIN};
    long end = milliseconds_now() + milliseconds;
    for (;;) {
        long left = end - milliseconds_now();
        if (milliseconds >= 0 && left <= 0)
            break;
        int ready = poll(polls, CLIENTS + 2, milliseconds < 0 ? -1 : (int)left);
        if (ready < 0 && errno != EINTR)
            break;
        if (ready <= 0)
            continue;
        if (polls[CLIENTS + 1].revents != 0)
            break;
        if (polls[CLIENTS].revents != 0)
            accept_client(listener, polls, clients);
        for (int i = 0; i < CLIENTS; i++)
            if (polls[i].fd >= 0 && polls[i].revents != 0 &&
                !read_client(polls[i].fd, &clients[i], ticker)) {
                (void)close(polls[i].fd);
                polls[i].fd = -1;
            }
    }
    for (int i = 0; i < CLIENTS; i++)
        if (polls[i].fd >= 0)
            (void)close(polls[i].fd);
}
