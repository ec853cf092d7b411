/* SPDX-License-Identifier: ISC */
#include "dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire.h"

#define SIZE_BYTES 4U

_Noreturn void dial_fail(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    exit(EXIT_FAILURE);
}

int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        dial_fail("the path of a socket has up to 107 bytes");
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        dial_fail(strerror(errno));
    return fd;
}

void dial_send(int fd, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(fd, bytes.at, bytes.size, MSG_NOSIGNAL);
        if (sent <= 0)
            dial_fail("a request is not taken");
        bytes.at += sent;
        bytes.size -= (size_t)sent;
    }
}

/* False: the connection ended. */
static bool receive_all(int fd, unsigned char *out, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t more = read(fd, out + got, size - got);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return true;
}

struct span dial_receive(int fd)
{
    static unsigned char answer[DIAL_ROOM];
    unsigned char head[SIZE_BYTES];
    struct span rest = {head, sizeof head};
    uint32_t size;
    if (!receive_all(fd, head, sizeof head))
        return (struct span){0};
    if (!wire_u32(&rest, &size) || size == 0 || size > sizeof answer ||
        !receive_all(fd, answer, size))
        dial_fail("an answer is none");
    return (struct span){answer, size};
}

struct span dial_ask(int fd, const struct reply *frame, uint8_t due)
{
    uint8_t type;
    if (frame->failed)
        dial_fail("there is no memory");
    dial_send(fd, reply_span(frame));
    struct span answer = dial_receive(fd);
    if (!wire_u8(&answer, &type))
        dial_fail("the agent ends the connection");
    if (type != due)
        dial_fail("the agent answers otherwise than it should");
    return answer;
}

void dial_begin(struct reply *frame, uint8_t type)
{
    reply_clear(frame);
    (void)reply_begin(frame);
    reply_u8(frame, type);
}
