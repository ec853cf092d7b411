/* SPDX-License-Identifier: ISC */
/* Wiping secrets by direct stores, which the compiler may not leave out. */
#ifndef SMEM_CLEAR_H
#define SMEM_CLEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What smem_clear_brief can do. */
#define SMEM_BRIEF_LEAST 16U
#define SMEM_BRIEF_MOST  256U

/* From here on the C library's stores, which are wider, make up for the call. */
#define SMEM_WIDE_FROM 129U

static inline bool smem_is_brief(size_t length)
{
    return length - SMEM_BRIEF_LEAST <= SMEM_BRIEF_MOST - SMEM_BRIEF_LEAST;
}

/* Two stores, or four, eight, sixteen, overlap: no branch for each length. */
static inline void smem_clear_brief(char *start, size_t length)
{
    typedef uint64_t unit __attribute__((vector_size(16), aligned(1)));
    volatile unit *first = (volatile unit *)(void *)start;
    volatile unit *last = (volatile unit *)(void *)(start + length - sizeof *last);
    *first = *last = (unit){0};
    if (length > 2 * sizeof *last)
        first[1] = last[-1] = (unit){0};
    if (length > 4 * sizeof *last)
        first[2] = first[3] = last[-2] = last[-3] = (unit){0};
    if (length > 8 * sizeof *last) {
        first[4] = first[5] = first[6] = first[7] = (unit){0};
        last[-4] = last[-5] = last[-6] = last[-7] = (unit){0};
    }
}

/* Any other length: in a function of its own, so that callers may end with a jump to it. */
void smem_clear_much(char *start, size_t length);

static inline void smem_clear(char *start, size_t length)
{
    if (smem_is_brief(length) && length < SMEM_WIDE_FROM)
        smem_clear_brief(start, length);
    else
        smem_clear_much(start, length);
}

#endif
