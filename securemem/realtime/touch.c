/* SPDX-License-Identifier: ISC */
#include "realtime/touch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/procfs.h"

/* A write, since a read would map the page of zeros that all processes share. */
void smem_touch(void *start, size_t length)
{
    volatile char *at = start;
    for (size_t i = 0; i < length; i += smem_kernel_page_size())
        at[i] = 0;
    if (length > 0)
        at[length - 1] = 0;
}

/* From the top down, as a stack grows; not inlined, or its frame would be the caller's. */
__attribute__((noinline)) void smem_touch_stack(size_t bytes)
{
    size_t page = smem_kernel_page_size();
    volatile char *block = __builtin_alloca(bytes + 1);
    for (size_t at = bytes; at > page; at -= page)
        block[at] = 0;
    block[0] = 0;
}

static int is_stack(const struct smem_proc_map *map, void *context)
{
    struct smem_proc_map *stack = context; /* start: an address in it */
    if (stack->start < map->start || stack->start >= map->end)
        return 0;
    *stack = *map;
    return 1;
}

int smem_stack_range(uintptr_t here, size_t bytes, uintptr_t *start, uintptr_t *end)
{
    struct smem_proc_map stack = {.start = here};
    int found = smem_proc_each_map(is_stack, &stack);
    if (found != 1)
        return found < 0 ? found : -ENOENT;
    bool main_thread = strcmp(stack.name, "[stack]") == 0;
    uintptr_t mask = smem_kernel_page_size() - 1;
    *start = (here - bytes) & ~mask;
    if (main_thread && stack.start < *start)
        *start = stack.start;
    *end = stack.end;
    return 0;
}

int smem_touch_heap(size_t bytes)
{
    if (bytes == 0)
        return 0;
    void *block = malloc(bytes);
    if (block == NULL)
        return -ENOMEM;
    smem_touch(block, bytes);
    free(block);
    return 0;
}
