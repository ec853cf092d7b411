/* SPDX-License-Identifier: ISC */
#include "secret/clear.h"

#include <string.h>

void smem_clear_much(char *start, size_t length)
{
    memset(start, 0, length);
    __asm__ volatile("" : : "r"(start) : "memory"); /* it may not be left out */
}
