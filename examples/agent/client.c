/* SPDX-License-Identifier: ISC */
#include "client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define SIZE_BYTES 4U

/* Of a request to sign, and of most keys. Larger messages are guarded, as they come. */
#define ROOM_USUAL ((size_t)1024)

/*
 * Milliseconds for a message that has begun: who stalls holds locked memory that others need.
 * A client sends it at once.
 */
#define MESSAGE_TIME ((uint64_t)30 * 1000)

#define QUESTION_TIME                                                                    \
    100U /* milliseconds until it is asked again whether one can be put */

#define OUT_KEPT ((size_t)4096) /* a longer reply's memory is given back */

static_assert(ROOM_USUAL > SIZE_BYTES, "a size fits");

struct client *client_new(int fd, securemem_arena *arena)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->in = securemem_arena_alloc(arena, ROOM_USUAL);
    if (client->in == NULL) {
        free(client);
        return NULL;
    }
    client->room = ROOM_USUAL;
    client->fd = fd;
    client->ask = ASK_NONE;
    return client;
}

/* What is not understood is answered once, and the connection ends: where would the next
 * message begin? */
static void give_up(struct client *client)
{
    agent_refuse(&client->out);
    client->last = true;
    client->state = CLIENT_WRITING;
}

static bool resize(struct client *client, size_t room)
{
    unsigned char *in = securemem_realloc(client->in, room);
    if (in == NULL)
        return false;
    client->in = in;
    client->room = room;
    return true;
}

/* Whether a whole message is there; room is made for one that is not. */
static bool has_message(struct client *client, struct span *message)
{
    struct span rest = {client->in, client->got};
    uint32_t size;
    if (!wire_u32(&rest, &size))
        return false;
    if (size == 0 || size > AGENT_MESSAGE_MOST) {
        give_up(client);
        return false;
    }
    if (rest.size >= size) {
        *message = (struct span){rest.at, size};
        return true;
    }
    if (SIZE_BYTES + size > client->room && !resize(client, SIZE_BYTES + size))
        give_up(client);
    return false;
}

/* Takes the first message out, and wipes it. */
static void consume(struct client *client, size_t size)
{
    size_t used = SIZE_BYTES + size, rest = client->got - used;
    memmove(client->in, client->in + used, rest);
    securemem_wipe(client->in + rest, used);
    client->got = rest;
    client->until = 0;
    if (client->room > ROOM_USUAL && rest <= ROOM_USUAL)
        (void)resize(client, ROOM_USUAL); /* the larger one serves too */
}

static void wait_until(struct client *client, uint64_t later)
{
    client->later = later;
    client->state = CLIENT_WAITING;
}

static void start_asking(struct client *client, const struct reply *question, size_t size)
{
    if (!question->failed && ask_start(&client->ask, (const char *)question->bytes)) {
        client->state = CLIENT_ASKING;
        return;
    }
    agent_refuse(&client->out);
    consume(client, size);
    client->state = CLIENT_WRITING;
}

static void answer(struct client *client, struct agent *agent, struct span message,
                   uint64_t now, bool confirmed)
{
    struct request request = {.message = message, .now = now, .confirmed = confirmed};
    switch (agent_answer(agent, &request, &client->out)) {
    case OUTCOME_ANSWERED:
        consume(client, message.size);
        client->state = CLIENT_WRITING;
        break;
    case OUTCOME_LATER:
        wait_until(client, request.later);
        break;
    case OUTCOME_CONFIRM:
        if (ask_is_free())
            start_asking(client, &request.question, message.size);
        else
            wait_until(client, now + QUESTION_TIME);
        break;
    }
    reply_free(&request.question);
}

static bool is_readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

/* The message waits where it was read. */
static void go_asking(struct client *client, struct agent *agent, uint64_t now)
{
    struct span message;
    if (!is_readable(client->ask.ended))
        return;
    bool agreed = ask_finish(&client->ask);
    client->state = CLIENT_READING;
    if (!has_message(client, &message))
        return;
    if (agreed) {
        answer(client, agent, message, now, true);
        return;
    }
    agent_refuse(&client->out);
    consume(client, message.size);
    client->state = CLIENT_WRITING;
}

/* True: there may be more to do. Who sends much is not read from twice in a turn. */
static bool go_reading(struct client *client, struct agent *agent, uint64_t now,
                       bool *may_read)
{
    struct span message;
    if (has_message(client, &message)) {
        answer(client, agent, message, now, false);
        return true;
    }
    if (client->state != CLIENT_READING)
        return true;
    if (client->got > 0 && client->until == 0)
        client->until = now + MESSAGE_TIME;
    if (!*may_read)
        return false;
    *may_read = false;
    ssize_t got = read(client->fd, client->in + client->got, client->room - client->got);
    if (got > 0)
        client->got += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        client->state = CLIENT_GONE;
    return got > 0;
}

static bool go_writing(struct client *client)
{
    if (client->out.failed) {
        client->state = CLIENT_GONE;
        return false;
    }
    ssize_t wrote = send(client->fd, client->out.bytes + client->sent,
                         client->out.size - client->sent, MSG_NOSIGNAL);
    if (wrote < 0) {
        if (errno != EAGAIN && errno != EINTR)
            client->state = CLIENT_GONE;
        return false;
    }
    client->sent += (size_t)wrote;
    if (client->sent < client->out.size)
        return true;
    client->sent = 0;
    reply_clear(&client->out);
    if (client->out.room > OUT_KEPT)
        reply_free(&client->out);
    client->state = client->last ? CLIENT_GONE : CLIENT_READING;
    return true;
}

void client_go(struct client *client, struct agent *agent, uint64_t now)
{
    if (client->state == CLIENT_ASKING)
        go_asking(client, agent, now);
    if (client->state == CLIENT_WAITING && now >= client->later)
        client->state = CLIENT_READING;
    bool goes = true, may_read = true;
    while (goes && (client->state == CLIENT_READING || client->state == CLIENT_WRITING))
        goes = client->state == CLIENT_READING ? go_reading(client, agent, now, &may_read)
                                               : go_writing(client);
}

uint64_t client_next(struct client *client, uint64_t now)
{
    if (client->state == CLIENT_WAITING)
        return client->later;
    if (client->state != CLIENT_READING || client->until == 0)
        return KEY_FOR_EVER;
    if (client->until <= now)
        client->state = CLIENT_GONE;
    return client->until;
}

void client_free(struct client *client)
{
    ask_cancel(&client->ask);
    (void)close(client->fd);
    securemem_free(client->in);
    reply_free(&client->out);
    free(client);
}
