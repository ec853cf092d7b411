/* SPDX-License-Identifier: ISC */
#include "server.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "socket.h"

#define EVENTS_AT_ONCE 64

/* Each connection has a kilobyte; what is left are messages of 256 KiB. */
#define MESSAGES_BUDGET ((size_t)4 << 20)
#define MESSAGES_IDLE   ((size_t)256 << 10)

/* Milliseconds after which who knocks is looked for again, where nobody could be let in. */
#define PAUSE 100U

static bool watch(const struct server *server, int operation, int fd, uint32_t events,
                  void *whose)
{
    struct epoll_event event = {.events = events, .data.ptr = whose};
    return epoll_ctl(server->events, operation, fd, &event) == 0;
}

/* SIGPIPE is blocked too: whoever started it may be gone before it is told that it is ready. */
static const char *open_signals(int *fd)
{
    sigset_t ending, blocked;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGHUP);
    blocked = ending;
    (void)sigaddset(&blocked, SIGPIPE);
    /* Ignored, as it may have been inherited, it would hide how a question was answered. */
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR ||
        sigprocmask(SIG_BLOCK, &blocked, NULL) != 0)
        return strerror(errno);
    *fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    return *fd >= 0 ? NULL : strerror(errno);
}

const char *server_open(struct server *server)
{
    const char *wrong;
    server->events = server->signals = server->ended = -1;
    server->messages = securemem_arena_create(&(securemem_arena_options){
        .placement = SECUREMEM_PACKED, .budget = MESSAGES_BUDGET, .idle = MESSAGES_IDLE});
    if (server->messages == NULL)
        return securemem_last_error()->message;
    wrong = open_signals(&server->signals);
    if (wrong != NULL)
        goto fail;
    server->events = epoll_create1(EPOLL_CLOEXEC);
    if (server->events < 0 ||
        (server->companion != 0 &&
         (server->ended = pidfd_open(server->companion, 0)) < 0) ||
        !watch(server, EPOLL_CTL_ADD, server->signals, EPOLLIN, &server->signals) ||
        (server->ended >= 0 &&
         !watch(server, EPOLL_CTL_ADD, server->ended, EPOLLIN, &server->ended)) ||
        !watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, &server->listener)) {
        wrong = strerror(errno);
        goto fail;
    }
    server->listens = true;
    return NULL;

fail:
    server_close(server);
    return wrong;
}

/* Who cannot let anybody in does not look at the door: it would be told of who knocks, and
 * again. */
static void listen_or_not(struct server *server, bool listens)
{
    if (server->listens != listens && watch(server, EPOLL_CTL_MOD, server->listener,
                                            listens ? EPOLLIN : 0, &server->listener))
        server->listens = listens;
}

/* What a client is waited for: nothing is read from one who has to wait himself. */
static uint32_t events_of(const struct client *client)
{
    return client->state == CLIENT_READING   ? EPOLLIN
           : client->state == CLIENT_WRITING ? EPOLLOUT
                                             : 0;
}

/* Lets it go on as far as it can, and waits for what it then needs. */
static void go(struct server *server, struct client *client, uint64_t now)
{
    bool asked = client->ask.pid != 0;
    client_go(client, &server->agent, now);
    bool asks = client->ask.pid != 0;
    if (asks && !asked &&
        !watch(server, EPOLL_CTL_ADD, client->ask.ended, EPOLLIN, client))
        client->state = CLIENT_GONE;
    uint32_t events = events_of(client);
    if (client->state != CLIENT_GONE && events != client->watched &&
        !watch(server, EPOLL_CTL_MOD, client->fd, events, client))
        client->state = CLIENT_GONE;
    client->watched = events;
}

/* What is missing for one more may be the machine's, and come back with nobody leaving. */
static void pause_admission(struct server *server, uint64_t now)
{
    listen_or_not(server, false);
    server->paused_until = now + PAUSE;
}

static void admit(struct server *server, uint64_t now)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            pause_admission(server, now);
        return;
    }
    struct client *client =
        socket_is_of_own_user(fd) ? client_new(fd, server->messages) : NULL;
    if (client == NULL) {
        (void)close(fd);
        return;
    }
    client->watched = EPOLLIN;
    if (!watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, client)) {
        client_free(client);
        return;
    }
    client->next = server->clients;
    server->clients = client;
    server->count++;
}

/* After all events of a turn: some may be of one that has gone. */
static void bury(struct server *server)
{
    struct client **place = &server->clients;
    while (*place != NULL) {
        struct client *client = *place;
        if (client->state != CLIENT_GONE) {
            place = &client->next;
            continue;
        }
        *place = client->next;
        client_free(client);
        server->count--;
    }
}

/* Those whose time has come go on; when the next one's comes, KEY_FOR_EVER: never. */
static uint64_t keep_time(struct server *server, uint64_t now)
{
    uint64_t next = keys_expire(&server->agent.keys, now);
    for (struct client *client = server->clients; client != NULL; client = client->next) {
        if (client->state == CLIENT_WAITING && client->later <= now)
            go(server, client, now);
        uint64_t time = client_next(client, now);
        next = time < next ? time : next;
    }
    return next;
}

/* Looks at the door, or not; when it is to be tried again, KEY_FOR_EVER: when one leaves. */
static uint64_t keep_door(struct server *server, uint64_t now)
{
    bool has_place = server->count < SERVER_CLIENTS_MOST;
    listen_or_not(server, has_place && server->paused_until <= now);
    if (server->listens || !has_place)
        return KEY_FOR_EVER;
    return server->paused_until > now ? server->paused_until : now + PAUSE;
}

/* In milliseconds, for epoll_wait(2). */
static int time_until(uint64_t next, uint64_t now)
{
    if (next == KEY_FOR_EVER)
        return -1;
    return next <= now ? 0 : next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

static void attend(struct server *server, const struct epoll_event *event, uint64_t now)
{
    struct client *client = event->data.ptr;
    if (client->state == CLIENT_GONE)
        return;
    bool waits = client->state == CLIENT_ASKING || client->state == CLIENT_WAITING;
    if ((event->events & (EPOLLHUP | EPOLLERR)) != 0 && waits)
        client->state = CLIENT_GONE;
    else
        go(server, client, now);
}

const char *server_run(struct server *server)
{
    static const char no_clock[] = "the clock cannot be read";
    struct epoll_event events[EVENTS_AT_ONCE];
    for (;;) {
        uint64_t now;
        if (!clock_now(&now))
            return no_clock;
        uint64_t next = keep_time(server, now);
        bury(server);
        uint64_t door = keep_door(server, now);
        int ready = epoll_wait(server->events, events, EVENTS_AT_ONCE,
                               time_until(door < next ? door : next, now));
        if (ready < 0 && errno != EINTR)
            return strerror(errno);
        if (!clock_now(&now))
            return no_clock;
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &server->listener)
                admit(server, now);
            else if (events[i].data.ptr == &server->signals ||
                     events[i].data.ptr == &server->ended)
                return NULL;
            else
                attend(server, &events[i], now);
        }
    }
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void server_close(struct server *server)
{
    for (struct client *client = server->clients; client != NULL; client = client->next)
        client->state = CLIENT_GONE;
    bury(server);
    agent_end(&server->agent);
    close_if_open(server->ended);
    close_if_open(server->events);
    close_if_open(server->signals);
    securemem_arena_destroy(server->messages);
}
