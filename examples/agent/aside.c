/* SPDX-License-Identifier: ISC */
#include "aside.h"

#include <securemem.h>

/* libcrypto takes the most: 20 KiB for RSA, and more where it fetches what is new to it. */
#define STACK_BYTES ((size_t)64 << 10)

bool aside(void (*work)(void *argument), void *argument)
{
    return securemem_scratch_call(work, argument, STACK_BYTES) == 0;
}
