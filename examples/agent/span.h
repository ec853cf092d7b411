/* SPDX-License-Identifier: ISC */
/* A stretch of bytes that someone else owns, mostly inside a message: nothing is copied. */
#ifndef AGENT_SPAN_H
#define AGENT_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const unsigned char *at;
    size_t size;
};

/* Not for secrets: the time tells where they differ. */
static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

#endif
