/* SPDX-License-Identifier: ISC */
#include "kernel/cancel.h"

#include <pthread.h>

int smem_kernel_forbid_cancel(void)
{
    int before = PTHREAD_CANCEL_ENABLE;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* a valid state */
    return before;
}

void smem_kernel_allow_cancel(int before)
{
    (void)pthread_setcancelstate(before, &before); /* one that it gave */
}
