/* SPDX-License-Identifier: ISC */
#include "kernel/exit.h"

#include <errno.h>
#include <stdlib.h>

int smem_kernel_at_quick_exit(void (*handler)(void))
{
    int before = errno;
    int result = at_quick_exit(handler) == 0 ? 0 : -ENOMEM;
    errno = before;
    return result;
}
