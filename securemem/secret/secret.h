/* SPDX-License-Identifier: ISC */
#ifndef SMEM_SECRET_H
#define SMEM_SECRET_H

#include "secret/arena.h"
#include "secret/place.h"

/* The power of two of SECUREMEM_ALIGNMENT. */
#define SMEM_ALIGN_LOG2 4

/* With the arena's stripe held: a new secret. 0 or a negative errno, recorded. */
int smem_secret_make(securemem_arena *arena, size_t size, unsigned align_log2,
                     struct smem_place *out);

#endif
