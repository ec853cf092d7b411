/* SPDX-License-Identifier: ISC */
/*
 * One request: a packet of a SOCK_SEQPACKET socket, so that its end is known.
 *
 *      TOKEN stats                     the figures
 *      TOKEN work                      the histogram of the work
 *      TOKEN stamp TEXT                "TICK TIME MAC", of the next tick
 *      TOKEN verify TICK TIME MAC TEXT whether this run of the service stamped it
 *
 * The answer is one packet too: "ok", a newline and what was asked for, or "error: ", why,
 * and a newline.
 */
#ifndef METRONOME_REQUEST_H
#define METRONOME_REQUEST_H

#include <stddef.h>

#include "keys.h"

#define REQUEST_MAX ((size_t)512) /* bytes, the token included */

enum request_kind { REQUEST_STATS, REQUEST_WORK, REQUEST_STAMP, REQUEST_VERIFY };

struct request {
    enum request_kind kind;
    struct stamp stamp;        /* that a verify brought */
    const unsigned char *text; /* in the packet */
    size_t length;
};

/* Why it is refused for the token: the client is not to be spoken to again. */
extern const char request_unknown[];

/* NULL, or why it is none. */
const char *request_parse(const struct keys *keys, const unsigned char *packet,
                          size_t length, struct request *request);

#endif
