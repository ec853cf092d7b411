/* SPDX-License-Identifier: ISC */
#include "secret/random.h"

#include <errno.h>
#include <sodium.h>

#include "kernel/cancel.h"
#include "region/error.h"

/* It holds a lock of its own, under which it opens files. */
int smem_random_ready(void)
{
    int before = smem_kernel_forbid_cancel();
    int result = sodium_init();
    smem_kernel_allow_cancel(before);
    if (result >= 0)
        return 0;
    return smem_error_own("sodium_init", EAGAIN,
                          "libsodium found no source of random bytes; make getrandom(2) "
                          "or /dev/urandom available");
}

void smem_random_fill(void *place, size_t length)
{
    int before = smem_kernel_forbid_cancel();
    randombytes_buf(place, length);
    smem_kernel_allow_cancel(before);
}
