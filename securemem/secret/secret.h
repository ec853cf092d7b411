/* SPDX-License-Identifier: ISC */
#ifndef SMEM_SECRET_H
#define SMEM_SECRET_H

#include "secret/arena.h"
#include "secret/place.h"

/* The power of two of SECUREMEM_ALIGNMENT. */
#define SMEM_ALIGN_LOG2 4

/*
 * With the arena's stripe held: a new secret. 0 or a negative errno, recorded. A broken
 * canary that is met on the way, in what this thread caches, goes to *broken.
 */
int smem_secret_make(securemem_arena *arena, size_t size, unsigned align_log2,
                     struct smem_place *out, const void **broken);

/* The same, but guarded in an arena of packed ones too. */
int smem_secret_make_guarded(securemem_arena *arena, size_t size, unsigned align_log2,
                             struct smem_place *out, const void **broken);

/*
 * With its stripe held: gives a packed secret another size where it is; false, with
 * nothing changed, where that cannot be. A broken canary goes to *broken.
 */
bool smem_secret_resize(const struct smem_place *place, size_t size, const void **broken);

/*
 * With its stripe held: ends a secret, wiped. What the kernel refuses to let be wiped is
 * HELD, with a record. A broken canary goes to *broken.
 */
void smem_secret_end(struct smem_place place, const void **broken);

#endif
