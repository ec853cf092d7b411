/* SPDX-License-Identifier: ISC */
/*
 * Memory that the kernel itself cannot reach (memfd_secret(2), Linux 5.14; off by default
 * before 6.5). Contract as in kernel.h.
 */
#ifndef SMEM_SECRETMEM_H
#define SMEM_SECRETMEM_H

#include <stddef.h>

/* An empty file of such memory, close-on-exec: its descriptor. */
int smem_kernel_secret_open(void);

/* ftruncate(2). */
int smem_kernel_set_length(int descriptor, size_t length);

/* Maps the file's first length bytes at start, over what is there: readable, writable. */
int smem_kernel_map_over(void *start, size_t length, int descriptor);

/* Puts a reservation there, over what is there. */
int smem_kernel_reserve_over(void *start, size_t length);

#endif
