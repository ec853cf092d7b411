/* SPDX-License-Identifier: ISC */
/* Wiping secrets by direct stores, which the compiler may not leave out. */
#ifndef SMEM_CLEAR_H
#define SMEM_CLEAR_H

#include <stddef.h>
#include <stdint.h>

/* Between these a call takes longer; above, the C library's stores are the wider ones. */
#define SMEM_BRIEF_LEAST 16U
#define SMEM_BRIEF_MOST  128U

/* Two stores, or four, or eight, overlap: no branch for each length. */
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
}

/* Any other length: in a function of its own, so that callers may end with a jump to it. */
void smem_clear_much(char *start, size_t length);

static inline void smem_clear(char *start, size_t length)
{
    if (length >= SMEM_BRIEF_LEAST && length <= SMEM_BRIEF_MOST)
        smem_clear_brief(start, length);
    else
        smem_clear_much(start, length);
}

#endif
