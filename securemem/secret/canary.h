/* SPDX-License-Identifier: ISC */
/*
 * Canaries: every byte of a slot's data pages that is not the secret's own. The pattern
 * is 8 bytes, none of them zero, so that a stray terminator is seen; it differs from slot
 * to slot and is kept with the bookkeeping, out of reach of what overwrites it.
 */
#ifndef SMEM_CANARY_H
#define SMEM_CANARY_H

#include "region/region.h"

/* Draws the process's key. 0 or a negative errno, recorded. Call before anything else. */
int smem_canary_ready(void);

/* Fills the bytes around the secret of a writable slot. */
void smem_canary_write(struct smem_region *region, uint32_t slot);

/* Whether they are intact; the slot is readable. */
bool smem_canary_intact(const struct smem_region *region, uint32_t slot);

#endif
