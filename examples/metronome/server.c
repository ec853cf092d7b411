/* SPDX-License-Identifier: ISC */
#include "server.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <securemem.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notify.h"
#include "request.h"
#include "socket.h"

/* A period of the ticks: a stamp is not fetched sooner than it can be there. */
#define STAMP_POLL 1 /* milliseconds */

enum { LISTENER, SIGNALS, ENDED, FIRST_CLIENT, POLLED = FIRST_CLIENT + HANDOVER_PLACES };

static const char *open_signals(int *fd)
{
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    int code = pthread_sigmask(SIG_BLOCK, &ending, NULL);
    if (code != 0)
        return strerror(code);
    *fd = signalfd(-1, &ending, SFD_CLOEXEC);
    return *fd >= 0 ? NULL : strerror(errno);
}

const char *server_open(struct server *server)
{
    for (size_t i = 0; i < HANDOVER_PLACES; i++)
        server->clients[i] = -1;
    server->packet = securemem_alloc(REQUEST_MAX);
    if (server->packet == NULL)
        return securemem_last_error()->message;
    const char *wrong = open_signals(&server->signals);
    if (wrong != NULL)
        goto free_packet;
    wrong = socket_listen(server->path, &server->listener);
    if (wrong != NULL)
        goto close_signals;
    return NULL;

close_signals:
    (void)close(server->signals);
free_packet:
    securemem_free(server->packet);
    return wrong;
}

static void drop(struct server *server, size_t place)
{
    (void)close(server->clients[place]);
    server->clients[place] = -1;
}

/* Who does not fetch its answers is not waited for. */
static void send_answer(struct server *server, size_t place)
{
    const struct text *answer = server->answer;
    if (send(server->clients[place], answer->bytes, answer->length,
             MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        drop(server, place);
}

static void begin_answer(struct server *server, const char *first)
{
    server->answer->length = 0;
    text_add(server->answer, "%s\n", first);
}

static void refuse(struct server *server, size_t place, const char *wrong)
{
    server->answer->length = 0;
    text_add(server->answer, "error: %s\n", wrong);
    send_answer(server, place);
}

void server_tell(const struct server *server, struct text *text)
{
    securemem_rt_status status;
    text_add(text, "mode %s\n", mode_names[server->mode]);
    if (securemem_rt_get_status(&status) == 0)
        text_add(text, "locked-bytes %zu\n", status.locked);
    text_add(text, "secrets-locked %u\n", keys_locked(server->keys));
    statistics_tell(server->statistics, text);
}

static void send_stamp(struct server *server, size_t place, const struct stamp *stamp)
{
    char mac[2 * KEYS_MAC_BYTES + 1];
    (void)sodium_bin2hex(mac, sizeof mac, stamp->mac, sizeof stamp->mac);
    begin_answer(server, "ok");
    text_add(server->answer, "%" PRIu64 " %" PRIu64 " %s\n", stamp->tick, stamp->time,
             mac);
    send_answer(server, place);
}

static void answer(struct server *server, size_t place, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_STATS:
        begin_answer(server, "ok");
        server_tell(server, server->answer);
        break;
    case REQUEST_WORK:
        begin_answer(server, "ok");
        statistics_tell_work(server->statistics, server->answer);
        break;
    case REQUEST_STAMP:
        handover_ask(server->handover, place, request->text, request->length);
        return; /* fetch_stamps sends it */
    case REQUEST_VERIFY:
        begin_answer(server, "ok");
        text_add(
            server->answer, "%s\n",
            keys_confirm(server->keys, &request->stamp, request->text, request->length)
                ? "genuine"
                : "not of this run, or changed");
        break;
    }
    send_answer(server, place);
}

/* One packet: further ones wait in the socket until this one's answer is sent. */
static void serve(struct server *server, size_t place)
{
    ssize_t got = recv(server->clients[place], server->packet, REQUEST_MAX,
                       MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        drop(server, place);
        return;
    }
    struct request request;
    const char *wrong =
        (size_t)got > REQUEST_MAX
            ? "a request has at most 512 bytes"
            : request_parse(server->keys, server->packet, (size_t)got, &request);
    if (wrong == NULL)
        answer(server, place, &request);
    else
        refuse(server, place, wrong);
    if (wrong == request_unknown && server->clients[place] >= 0)
        drop(server, place);
    securemem_wipe(server->packet, REQUEST_MAX);
}

/* A client that has gone leaves its place when its stamp has come. */
static void fetch_stamps(struct server *server)
{
    struct stamp stamp;
    for (size_t i = 0; i < HANDOVER_PLACES; i++)
        if (handover_take(server->handover, i, &stamp) && server->clients[i] >= 0)
            send_stamp(server, i, &stamp);
}

static void turn_away(int client, const char *why)
{
    (void)send(client, why, strlen(why), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)close(client);
}

static void admit(struct server *server)
{
    int client = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return; /* it has gone, or descriptors are short: poll tells of it again */
    if (!socket_is_of_own_user(client)) {
        turn_away(client, "error: the service is for its own user\n");
        return;
    }
    for (size_t i = 0; i < HANDOVER_PLACES; i++)
        if (server->clients[i] < 0 && handover_is_free(server->handover, i)) {
            server->clients[i] = client;
            return;
        }
    turn_away(client, "error: eight clients are connected already\n");
}

/* Who waits for a stamp is not listened to: there is one place for it. True: one waits. */
static bool choose(const struct server *server, struct pollfd polled[POLLED])
{
    bool waiting = false;
    polled[LISTENER] = (struct pollfd){.fd = server->listener, .events = POLLIN};
    polled[SIGNALS] = (struct pollfd){.fd = server->signals, .events = POLLIN};
    polled[ENDED] = (struct pollfd){.fd = server->ended, .events = POLLIN};
    for (size_t i = 0; i < HANDOVER_PLACES; i++) {
        bool free = handover_is_free(server->handover, i);
        polled[FIRST_CLIENT + i] =
            (struct pollfd){.fd = free ? server->clients[i] : -1, .events = POLLIN};
        waiting |= !free;
    }
    return waiting;
}

/* systemd is told only of ticks: were they to stop, it starts the service anew. */
static void watch(struct server *server)
{
    uint64_t ticks = atomic_load_explicit(&server->statistics->due, memory_order_relaxed);
    if (ticks != server->seen)
        notify_alive();
    server->seen = ticks;
}

const char *server_run(struct server *server)
{
    const int interval = notify_interval();
    struct pollfd polled[POLLED];
    for (;;) {
        bool waiting = choose(server, polled);
        int timeout = waiting ? STAMP_POLL : interval == 0 ? -1 : interval;
        int ready = poll(polled, POLLED, timeout);
        if (ready < 0 && errno != EINTR)
            return strerror(errno);
        fetch_stamps(server);
        if (interval > 0)
            watch(server);
        if (ready <= 0)
            continue;
        if (polled[SIGNALS].revents != 0 || polled[ENDED].revents != 0)
            return NULL;
        for (size_t i = 0; i < HANDOVER_PLACES; i++)
            if (polled[FIRST_CLIENT + i].revents != 0)
                serve(server, i);
        if (polled[LISTENER].revents != 0)
            admit(server);
    }
}

void server_close(struct server *server)
{
    (void)unlink(server->path);
    (void)close(server->listener);
    (void)close(server->signals);
    for (size_t i = 0; i < HANDOVER_PLACES; i++)
        if (server->clients[i] >= 0)
            drop(server, i);
    securemem_free(server->packet);
}
