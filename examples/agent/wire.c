/* SPDX-License-Identifier: ISC */
#include "wire.h"

#define U32_BYTES    4U
#define NEGATIVE_BIT 0x80U

static void skip(struct span *in, size_t size)
{
    in->at += size;
    in->size -= size;
}

bool wire_u8(struct span *in, uint8_t *value)
{
    if (in->size < 1)
        return false;
    *value = in->at[0];
    skip(in, 1);
    return true;
}

bool wire_u32(struct span *in, uint32_t *value)
{
    if (in->size < U32_BYTES)
        return false;
    *value = (uint32_t)in->at[0] << 24 | (uint32_t)in->at[1] << 16 |
             (uint32_t)in->at[2] << 8 | in->at[3];
    skip(in, U32_BYTES);
    return true;
}

bool wire_string(struct span *in, struct span *string)
{
    uint32_t size;
    if (!wire_u32(in, &size) || in->size < size)
        return false;
    *string = (struct span){in->at, size};
    skip(in, size);
    return true;
}

bool wire_positive(struct span string, struct span *number)
{
    if (string.size == 0 || (string.at[0] & NEGATIVE_BIT) != 0)
        return false;
    while (string.size > 0 && string.at[0] == 0)
        skip(&string, 1);
    *number = string;
    return string.size > 0;
}

bool wire_is(struct span string, const char *text)
{
    return span_equal(string, (struct span){(const unsigned char *)text, strlen(text)});
}
