/* SPDX-License-Identifier: ISC */
/* malloc(3), wrapped as in wrap.c. */
#include "faults/wrap.h"
#include "kernel/heap.h"

void *__real_smem_heap_take(size_t length);
void *__wrap_smem_heap_take(size_t length);
void *__wrap_smem_heap_take(size_t length)
{
    int result;
    return fault_fails(FAULT_HEAP, &result) ? NULL : __real_smem_heap_take(length);
}
