/* SPDX-License-Identifier: ISC */
#include "aside.h"

#include <securemem.h>
#include <sodium.h>

/* libcrypto takes the most: 20 KiB for RSA, and more where it fetches what is new to it. */
#define STACK_BYTES 65536

bool aside(void (*work)(void *argument), void *argument)
{
    work(argument);
    sodium_stackzero(STACK_BYTES);
    securemem_clear_registers();
    return true;
}
