/* SPDX-License-Identifier: ISC */
#include "kernel/heap.h"

#include <errno.h>
#include <stdlib.h>

void *smem_heap_take(size_t length)
{
    int saved_errno = errno;
    void *start = malloc(length);
    errno = saved_errno;
    return start;
}

void smem_heap_give(void *start)
{
    free(start);
}
