/* SPDX-License-Identifier: ISC */
/* The seam of stacks, wrapped as in wrap.c. */
#include "faults/wrap.h"
#include "kernel/stack.h"

WRAP(int, FAULT_ALTERNATE, smem_kernel_alternate, (struct smem_alternate * out), (out))
WRAP(int, FAULT_SET_ALTERNATE, smem_kernel_set_alternate,
     (const struct smem_alternate *now, struct smem_alternate *before), (now, before))
WRAP(int, FAULT_RUN_THREAD, smem_kernel_run_thread,
     (void *stack, size_t length, void *(*function)(void *), void *argument),
     (stack, length, function, argument))
