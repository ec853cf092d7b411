/* SPDX-License-Identifier: ISC */
#include <securemem/process.h>

#include "kernel/kernel.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/ranges.h"

/* The pages that the bytes lie on. */
static int find_pages(const char *operation, const void *start, size_t length,
                      uintptr_t *from, uintptr_t *to)
{
    uintptr_t first = (uintptr_t)start, mask = smem_kernel_page_size() - 1;
    if (start == NULL || length == 0)
        return smem_error_argument(operation, "start is NULL, or length is 0");
    if (first > UINTPTR_MAX - mask || length > UINTPTR_MAX - mask - first)
        return smem_error_argument(operation,
                                   "the range goes beyond the end of the addresses");
    *from = first & ~mask;
    *to = (first + length + mask) & ~mask;
    return 0;
}

int securemem_lock_range(void *start, size_t length)
{
    smem_fork_check();
    uintptr_t from = 0, to = 0;
    int result = find_pages("securemem_lock_range", start, length, &from, &to);
    return result != 0 ? result : smem_range_lock(from, to);
}

int securemem_unlock_range(void *start, size_t length)
{
    smem_fork_check();
    uintptr_t from = 0, to = 0;
    int result = find_pages("securemem_unlock_range", start, length, &from, &to);
    return result != 0 ? result : smem_range_unlock(from, to);
}
