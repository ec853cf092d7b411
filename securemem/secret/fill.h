/* SPDX-License-Identifier: ISC */
/* For calls that make a secret and fill it, also in an arena that is closed to the caller. */
#ifndef SMEM_FILL_H
#define SMEM_FILL_H

#include <securemem/arena.h>

/*
 * A new secret of the arena, whose door, if it has one, is open to the calling thread until
 * smem_fill_end. NULL and errno, with nothing open, where either is refused, or the arena is
 * NULL.
 */
void *smem_fill_begin(securemem_arena *arena, size_t size);

/*
 * Gives the secret; NULL, which a caller passes that has freed it, with errno as it is; or
 * NULL and errno where the door cannot be closed: the secret is freed.
 */
void *smem_fill_end(securemem_arena *arena, void *secret);

#endif
