/* SPDX-License-Identifier: ISC */
#ifndef SMEM_COPY_H
#define SMEM_COPY_H

#include <stddef.h>

/*
 * Copies between secrets without leaving any of it in registers or on the stack, as
 * memcpy(3) does in vector registers. The ranges do not overlap.
 */
static inline void smem_copy(void *to, const void *from, size_t length)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
#else
    /* One byte at a time: no register ever holds more of the secret. */
    volatile unsigned char *out = to;
    const volatile unsigned char *in = from;
    while (length-- > 0)
        *out++ = *in++;
#endif
}

#endif
