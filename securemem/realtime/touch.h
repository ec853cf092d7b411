/* SPDX-License-Identifier: ISC */
/* Pages brought in by touching them, as the code that needs them would. */
#ifndef SMEM_RT_TOUCH_H
#define SMEM_RT_TOUCH_H

#include <stddef.h>
#include <stdint.h>

/* Writes to each page of memory that nobody else uses. */
void smem_touch(void *start, size_t length);

/* The calling thread's stack, from here down. */
void smem_touch_stack(size_t bytes);

/*
 * Those pages, from an address in use down, and what lies above them: of the main thread's
 * stack all of its mapping, for a C library may take a part of it for the whole. 0 or a
 * negative errno.
 */
int smem_stack_range(uintptr_t here, size_t bytes, uintptr_t *start, uintptr_t *end);

/* Makes malloc(3) have so many bytes ready. 0, or -ENOMEM without a record. */
int smem_touch_heap(size_t bytes);

#endif
