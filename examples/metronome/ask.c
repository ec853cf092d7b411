/* SPDX-License-Identifier: ISC */
#include "ask.h"

#include <errno.h>
#include <securemem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys.h"
#include "socket.h"
#include "text.h"

/* Longer than any request, so that the service can be asked too much. */
#define LINE_MOST ((size_t)4096)

/* The packet, in a secret: the token stays at its start, and each line goes behind it. */
struct asking {
    int fd;
    unsigned char *packet;
    size_t token; /* bytes, with the space behind it */
};

static const char *take_token(const struct options *options, struct asking *asking)
{
    unsigned char *token;
    size_t length;
    if (options->token == NULL)
        return NULL;
    const char *wrong = keys_read_token(options->token, &token, &length);
    if (wrong != NULL)
        return wrong;
    memcpy(asking->packet, token, length);
    asking->packet[length] = ' ';
    asking->token = length + 1;
    securemem_free(token);
    return NULL;
}

/* A service that turns somebody away has not read the request: a reset is told first. */
static ssize_t receive(int fd, struct text *answer)
{
    bool reset_told = false;
    for (;;) {
        ssize_t got = recv(fd, answer->bytes, sizeof answer->bytes, 0);
        if (got >= 0 || (errno != EINTR && (errno != ECONNRESET || reset_told)))
            return got;
        reset_told |= errno == ECONNRESET;
    }
}

static const char *exchange(const struct asking *asking, const char *line, size_t length,
                            FILE *out, unsigned *refused)
{
    static struct text answer;
    memcpy(asking->packet + asking->token, line, length);
    if (send(asking->fd, asking->packet, asking->token + length, MSG_NOSIGNAL) < 0 &&
        errno != EPIPE && errno != ECONNRESET)
        return strerror(errno); /* those two: what was said before can be read */
    ssize_t got = receive(asking->fd, &answer);
    if (got <= 0)
        return got < 0 ? strerror(errno) : "the service has closed the connection";
    const char *shown = answer.bytes;
    size_t size = (size_t)got;
    static const char ok[] = "ok\n";
    if (size >= strlen(ok) && memcmp(shown, ok, strlen(ok)) == 0) {
        shown += strlen(ok);
        size -= strlen(ok);
    } else {
        ++*refused;
    }
    (void)fwrite(shown, 1, size, out);
    return fflush(out) == 0 && !ferror(out) ? NULL : "the answer cannot be printed";
}

static const char *exchange_all(const struct asking *asking, FILE *in, FILE *out,
                                unsigned *refused)
{
    char *line = NULL;
    size_t room = 0;
    const char *wrong = NULL;
    ssize_t got;
    while (wrong == NULL && (got = getline(&line, &room, in)) > 0) {
        size_t length = (size_t)got - (line[got - 1] == '\n');
        wrong = length > LINE_MOST ? "a line is longer than 4096 bytes"
                                   : exchange(asking, line, length, out, refused);
    }
    free(line);
    return wrong;
}

const char *ask(const struct options *options, FILE *in, FILE *out, unsigned *refused)
{
    struct asking asking = {.packet = securemem_alloc(KEYS_TOKEN_MAX + 1 + LINE_MOST)};
    if (asking.packet == NULL)
        return securemem_last_error()->message;
    const char *wrong = take_token(options, &asking);
    if (wrong == NULL)
        wrong = socket_connect(options->socket, &asking.fd);
    if (wrong == NULL) {
        wrong = exchange_all(&asking, in, out, refused);
        (void)close(asking.fd);
    }
    securemem_free(asking.packet);
    return wrong;
}
