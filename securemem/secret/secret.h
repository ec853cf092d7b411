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

/*
 * With its stripe held: wipes the pages of a LIVE or HELD slot, whatever its access, and
 * says whether the canary was intact. 0; or a negative errno, recorded, where the kernel
 * refuses the access: then nothing is wiped and the slot is HELD.
 */
int smem_secret_wipe(struct smem_region *region, uint32_t slot, bool *intact);

#endif
