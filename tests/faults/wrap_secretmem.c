/* SPDX-License-Identifier: ISC */
/* The seam of secret memory, wrapped as in wrap.c. */
#include "faults/wrap.h"
#include "kernel/secretmem.h"

WRAP(int, FAULT_SECRET_OPEN, smem_kernel_secret_open, (void), ())
WRAP(int, FAULT_SET_LENGTH, smem_kernel_set_length, (int descriptor, size_t length),
     (descriptor, length))
WRAP(int, FAULT_MAP_OVER, smem_kernel_map_over,
     (void *start, size_t length, int descriptor), (start, length, descriptor))
WRAP(int, FAULT_RESERVE_OVER, smem_kernel_reserve_over, (void *start, size_t length),
     (start, length))
