/* SPDX-License-Identifier: ISC */
#include "reply.h"

#include <stdlib.h>

#define SIZE_BYTES   4U
#define FIRST_ROOM   1024U
#define ROOM_MOST    ((size_t)1 << 20) /* four times of what an OpenSSH client reads */
#define NEGATIVE_BIT 0x80U

void reply_free(struct reply *reply)
{
    free(reply->bytes);
    *reply = (struct reply){0};
}

void reply_clear(struct reply *reply)
{
    reply->size = 0;
    reply->failed = false;
}

bool reply_reserve(struct reply *reply, size_t more)
{
    if (reply->failed || more > ROOM_MOST - reply->size) {
        reply->failed = true;
        return false;
    }
    size_t room = reply->room == 0 ? FIRST_ROOM : reply->room;
    while (room < reply->size + more)
        room *= 2;
    if (room == reply->room)
        return true;
    unsigned char *bytes = realloc(reply->bytes, room);
    if (bytes == NULL) {
        reply->failed = true;
        return false;
    }
    reply->bytes = bytes;
    reply->room = room;
    return true;
}

void reply_bytes(struct reply *reply, struct span bytes)
{
    if (bytes.size == 0 || !reply_reserve(reply, bytes.size))
        return;
    memcpy(reply->bytes + reply->size, bytes.at, bytes.size);
    reply->size += bytes.size;
}

void reply_u8(struct reply *reply, uint8_t value)
{
    reply_bytes(reply, (struct span){&value, 1});
}

static void put_u32(unsigned char out[SIZE_BYTES], uint32_t value)
{
    for (unsigned i = 0; i < SIZE_BYTES; i++)
        out[i] = (unsigned char)(value >> (24 - 8 * i));
}

void reply_u32(struct reply *reply, uint32_t value)
{
    unsigned char bytes[SIZE_BYTES];
    put_u32(bytes, value);
    reply_bytes(reply, (struct span){bytes, sizeof bytes});
}

void reply_string(struct reply *reply, struct span string)
{
    reply_u32(reply, (uint32_t)string.size);
    reply_bytes(reply, string);
}

void reply_text(struct reply *reply, const char *text)
{
    reply_string(reply, (struct span){(const unsigned char *)text, strlen(text)});
}

void reply_positive(struct reply *reply, struct span number)
{
    while (number.size > 0 && number.at[0] == 0) {
        number.at++;
        number.size--;
    }
    bool pads = number.size > 0 && (number.at[0] & NEGATIVE_BIT) != 0;
    reply_u32(reply, (uint32_t)number.size + pads);
    if (pads)
        reply_u8(reply, 0);
    reply_bytes(reply, number);
}

size_t reply_begin(struct reply *reply)
{
    size_t begun = reply->size;
    reply_u32(reply, 0);
    return begun;
}

void reply_end(struct reply *reply, size_t begun)
{
    if (!reply->failed)
        put_u32(reply->bytes + begun, (uint32_t)(reply->size - begun - SIZE_BYTES));
}

struct span reply_span(const struct reply *reply)
{
    return (struct span){reply->bytes, reply->size};
}
