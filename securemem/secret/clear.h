/* SPDX-License-Identifier: ISC */
/*
 * Wiping secrets by direct stores, which the compiler may not leave out, in blocks of which
 * the last one overlaps another: no branch for what is left over.
 */
#ifndef SMEM_CLEAR_H
#define SMEM_CLEAR_H

#include <stddef.h>
#include <stdint.h>

/* Between these, stores are as fast as a call, and save the saving of registers. */
#define SMEM_BRIEF_LEAST 16U
#define SMEM_BRIEF_MOST  288U

static inline void smem_clear_brief(char *start, size_t length)
{
    typedef uint64_t unit __attribute__((vector_size(16), aligned(1)));
    volatile unit *first = (volatile unit *)(void *)start;
    volatile unit *last = (volatile unit *)(void *)(start + length - sizeof *last);
    if (length <= 32) {
        *first = *last = (unit){0};
        return;
    }
    if (length <= 64) {
        first[0] = first[1] = last[-1] = last[0] = (unit){0};
        return;
    }
    for (; first < last - 3; first += 4)
        first[0] = first[1] = first[2] = first[3] = (unit){0};
    last[-3] = last[-2] = last[-1] = last[0] = (unit){0};
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
