/* SPDX-License-Identifier: ISC */
/* Bytes between descriptors and secrets, and the errors of both. */
#ifndef SMEM_STREAM_H
#define SMEM_STREAM_H

#include <securemem/arena.h>
#include <stddef.h>

/*
 * Reads until size bytes are there or the end comes; *got is their number, also on an
 * error. 0 or a negative errno of the kernel, not recorded.
 */
int smem_stream_read(int descriptor, void *place, size_t size, size_t *got);

/* As smem_stream_read gives it, recorded: the errno of transfer.h's set. */
int smem_stream_refuse(const char *operation, const char *name, int kernel_code);

/*
 * All that comes until the end, of which size bytes are expected, as a secret. NULL and
 * errno, recorded for that operation and name.
 */
void *smem_stream_read_all(const char *operation, const char *name,
                           securemem_arena *arena, int descriptor, size_t expected,
                           size_t limit);

/* The arena, or the default one for NULL; NULL and errno where there is none. */
securemem_arena *smem_stream_arena(securemem_arena *arena);

#endif
