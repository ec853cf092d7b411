/* SPDX-License-Identifier: ISC */
/*
 * Bytes that grow in ordinary memory, in the encodings of RFC 4251: nothing that is secret
 * goes in. One that memory was missing for, or that grew beyond what a client takes, has
 * failed, and stays so.
 */
#ifndef AGENT_REPLY_H
#define AGENT_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct reply {
    unsigned char *bytes; /* free it with reply_free */
    size_t size, room;
    bool failed;
};

void reply_free(struct reply *reply);

/* Empty again, and not failed. */
void reply_clear(struct reply *reply);

/* Makes room for so many bytes more, which then cannot fail. */
bool reply_reserve(struct reply *reply, size_t more);

void reply_u8(struct reply *reply, uint8_t value);
void reply_u32(struct reply *reply, uint32_t value);
void reply_bytes(struct reply *reply, struct span bytes); /* as they are */
void reply_string(struct reply *reply, struct span string);
void reply_text(struct reply *reply, const char *text); /* a string */
void reply_positive(struct reply *reply, struct span number);

/*
 * What comes until the end is a string, or a frame of the protocol: begin makes room for its
 * size and says where, end puts it there.
 */
size_t reply_begin(struct reply *reply);
void reply_end(struct reply *reply, size_t begun);

struct span reply_span(const struct reply *reply);

#endif
