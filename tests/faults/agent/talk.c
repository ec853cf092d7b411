/* SPDX-License-Identifier: ISC */
#include "faults/agent/talk.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/wire.h"
#include "faults/agent/fault.h"
#include "faults/agent/turns.h"

#define SIZE_BYTES   4U
#define FRAME_MOST   ((size_t)8 << 10)
#define ANSWER_MOST  ((size_t)64 << 10)
#define WAITS_MOST   300U
#define RSA_SHA2_512 4U

const struct notary *talk_notary;
const char *talk_socket;
int talk_errors;
unsigned talk_open;

void talk_violation(const char *what)
{
    const struct fault_plan *plan = &faults->plan;
    dprintf(talk_errors, "%s: call %u (%s), refusal %u%s%s\n", what, plan->call,
            faults->hit ? faults->hit_name : "not reached", plan->variant,
            plan->onward ? ", onward" : "",
            plan->side == FAULT_STARTER ? ", of the starter" : "");
    _exit(99);
}

/* Whether an answer other than the one that is due can be a fault's. */
static bool is_excused(void)
{
    return faults->hit;
}

static void connect_to_agent(struct talk *talk)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    glob_t found;
    if (glob(talk_socket, 0, NULL, &found) != 0 || found.gl_pathc != 1)
        talk_violation("there is no socket");
    talk_open++;
    memcpy(address.sun_path, found.gl_pathv[0], strlen(found.gl_pathv[0]) + 1);
    globfree(&found);
    talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (talk->fd < 0 ||
        connect(talk->fd, (struct sockaddr *)&address, sizeof address) != 0)
        talk_violation("the agent cannot be reached");
}

void talk_leave(struct talk *talk)
{
    if (talk->fd >= 0 && close(talk->fd) == 0)
        talk_open--;
    talk->fd = -1;
}

/* An end while it is sent is seen where the answer is received. */
void talk_send(struct talk *talk, struct span bytes)
{
    if (talk->fd < 0)
        connect_to_agent(talk);
    for (unsigned tries = 0; bytes.size > 0 && tries < WAITS_MOST; tries++) {
        ssize_t sent = send(talk->fd, bytes.at, bytes.size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes.at += sent;
            bytes.size -= (size_t)sent;
        } else if (sent < 0 && errno != EAGAIN) {
            return;
        } else {
            (void)turns_pass();
        }
    }
    if (bytes.size > 0 && !is_excused())
        talk_violation("a message is not taken");
}

static int answer_none(struct talk *talk, const char *what)
{
    if (!is_excused())
        talk_violation(what);
    talk_leave(talk);
    return TALK_NONE;
}

/* Reads up to wanted bytes of a frame; those that are there, at its end -1. */
static ssize_t receive_more(const struct talk *talk, unsigned char *out, size_t wanted)
{
    ssize_t got = recv(talk->fd, out, wanted, 0);
    if (got > 0)
        return got;
    return got < 0 && errno == EAGAIN ? 0 : -1;
}

/* A whole frame, its size in front; 0: the connection ended, or the agent does nothing. */
static size_t receive_frame(const struct talk *talk, unsigned char out[ANSWER_MOST])
{
    size_t got = 0, wanted = SIZE_BYTES;
    for (unsigned waits = 0; waits < WAITS_MOST;) {
        ssize_t more = receive_more(talk, out + got, wanted - got);
        if (more < 0 && got > 0)
            talk_violation("half an answer");
        if (more < 0)
            return 0;
        got += (size_t)more;
        if (wanted == SIZE_BYTES && got == SIZE_BYTES) {
            struct span rest = {out, SIZE_BYTES};
            uint32_t size = 0;
            (void)wire_u32(&rest, &size);
            if (size == 0 || size > ANSWER_MOST - SIZE_BYTES)
                talk_violation("an answer of no size");
            wanted += size;
        } else if (got == wanted) {
            return got;
        }
        bool rested = more > 0 || turns_pass();
        if (more > 0 || !rested)
            waits += !rested;
        else if (recv(talk->fd, out + got, 1, MSG_PEEK) < 0 && errno == EAGAIN) {
            waits++;
            if (!turns_wait())
                break;
        }
    }
    /* Where the trouble goes on, nothing may come. */
    if (!is_excused() || !faults->plan.onward || got > 0)
        talk_violation(got > 0 ? "half an answer, and no more" : "no answer");
    return 0;
}

int talk_receive(struct talk *talk, int due, struct span *rest)
{
    static unsigned char answer[ANSWER_MOST];
    if (talk->fd < 0)
        return TALK_NONE;
    size_t size = receive_frame(talk, answer);
    if (size == 0)
        return answer_none(talk, "the connection ends");
    int type = answer[SIZE_BYTES];
    if (type != due && !(type == DIAL_FAILURE && is_excused()))
        talk_violation("another answer than is due");
    if (rest != NULL)
        *rest = (struct span){answer + SIZE_BYTES + 1, size - SIZE_BYTES - 1};
    else if (type != DIAL_LISTED && type != DIAL_SIGNED && size != SIZE_BYTES + 1)
        talk_violation("an answer with more than a type");
    return type;
}

/* What may hold a key is built in one place, and wiped. */
static unsigned char frame[FRAME_MOST];
static size_t frame_size;

static void put(const unsigned char *bytes, size_t size, unsigned char mask)
{
    if (size > FRAME_MOST - frame_size)
        talk_violation("a message of the client's is too long");
    for (size_t i = 0; i < size; i++)
        frame[frame_size++] = bytes[i] ^ mask;
}

static void put_u32(size_t value)
{
    unsigned char bytes[] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                             (unsigned char)(value >> 8), (unsigned char)value};
    put(bytes, sizeof bytes, 0);
}

static void put_string(const void *bytes, size_t size)
{
    put_u32(size);
    put(bytes, size, 0);
}

static void begin(uint8_t type)
{
    frame_size = SIZE_BYTES;
    put(&type, 1, 0);
}

static void send_frame(struct talk *talk)
{
    size_t size = frame_size;
    frame_size = 0;
    put_u32(size - SIZE_BYTES);
    talk_send(talk, (struct span){frame, size});
    memset(frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

int talk_bare(struct talk *talk, uint8_t type, int due)
{
    begin(type);
    send_frame(talk);
    return talk_receive(talk, due, NULL);
}

int talk_text(struct talk *talk, uint8_t type, const char *text, int due)
{
    begin(type);
    put_string(text, strlen(text));
    send_frame(talk);
    return talk_receive(talk, due, NULL);
}

int talk_add(struct talk *talk, enum notary_kind kind, struct span constraints, int due)
{
    const struct notary_key *key = &talk_notary->keys[kind];
    begin(constraints.size > 0 ? DIAL_ADD_CONSTRAINED : DIAL_ADD);
    put(key->body, key->body_size, NOTARY_MASK);
    put_string("a key", 5);
    put(constraints.at, constraints.size, 0);
    send_frame(talk);
    return talk_receive(talk, due, NULL);
}

int talk_remove(struct talk *talk, enum notary_kind kind, int due)
{
    const struct notary_key *key = &talk_notary->keys[kind];
    begin(DIAL_REMOVE);
    put_string(key->blob, key->blob_size);
    send_frame(talk);
    return talk_receive(talk, due, NULL);
}

int talk_list(struct talk *talk, size_t *count)
{
    struct span rest, string;
    uint32_t listed;
    begin(DIAL_LIST);
    send_frame(talk);
    int type = talk_receive(talk, DIAL_LISTED, &rest);
    if (type != DIAL_LISTED)
        return type;
    bool good = wire_u32(&rest, &listed);
    for (uint32_t i = 0; good && i < listed; i++)
        good = wire_string(&rest, &string) && wire_string(&rest, &string);
    if (!good || rest.size != 0)
        talk_violation("a list that is none");
    *count = listed;
    return type;
}

void talk_ask_to_sign(struct talk *talk, enum notary_kind kind)
{
    const struct notary_key *key = &talk_notary->keys[kind];
    begin(DIAL_SIGN);
    put_string(key->blob, key->blob_size);
    put_string(NOTARY_MESSAGE, sizeof NOTARY_MESSAGE - 1);
    put_u32(kind == NOTARY_RSA ? RSA_SHA2_512 : 0);
    send_frame(talk);
}

int talk_take_signature(struct talk *talk, enum notary_kind kind, int due)
{
    struct span rest, whole;
    int type = talk_receive(talk, due, &rest);
    if (type == DIAL_SIGNED && (!wire_string(&rest, &whole) || rest.size != 0 ||
                                !notary_agrees(talk_notary, kind, whole.at, whole.size)))
        talk_violation("a signature that is none");
    return type;
}
