/* SPDX-License-Identifier: ISC */
#include "secret/clear.h"

#include <string.h>

/* The C library's stores need no loop up to here: a secret of so much and its canary does. */
#define WITHOUT_LOOP 256U

void smem_clear_much(char *start, size_t length)
{
    if (length > WITHOUT_LOOP && length <= WITHOUT_LOOP + SMEM_BRIEF_LEAST) {
        smem_clear_brief(start + length - SMEM_BRIEF_LEAST, SMEM_BRIEF_LEAST);
        length = WITHOUT_LOOP;
    }
    /* Whose memory it is cannot be told any more: it is not left out, and jumped to. */
    __asm__ volatile("" : "+r"(start) : : "memory");
    memset(start, 0, length);
}
