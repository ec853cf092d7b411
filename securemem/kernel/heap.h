/* SPDX-License-Identifier: ISC */
/*
 * Ordinary memory, of malloc(3): for what is no secret and may be large or many. Apart so
 * that a test can refuse it.
 */
#ifndef SMEM_HEAP_H
#define SMEM_HEAP_H

#include <stddef.h>

/* length bytes, aligned for any object, or NULL. errno is kept. */
void *smem_heap_take(size_t length);

/* NULL does nothing. */
void smem_heap_give(void *start);

#endif
