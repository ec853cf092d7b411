/* SPDX-License-Identifier: ISC */
/* Packed secrets out of the pages of an arena, and back. */
#ifndef SMEM_PACKED_H
#define SMEM_PACKED_H

#include "secret/arena.h"
#include "secret/page.h"

/*
 * With the stripe held: takes up to count free secrets of the class, all from one page,
 * wiped and cached. Their number, or a negative errno, recorded.
 */
int smem_packed_take(securemem_arena *arena, unsigned class, char **secrets,
                     smem_word **words, unsigned count);

/*
 * With the stripe held: cached secrets, wiped, become free. Those of one page are best side
 * by side.
 */
void smem_packed_give(securemem_arena *arena, char *const *secrets,
                      smem_word *const *words, unsigned count);

/* With the stripe held: whether a page has one secret, which to give is to give it back. */
bool smem_packed_is_last(const struct smem_region *region, uint32_t slot);

/*
 * In a forked child, with the stripe held: what threads of the parent had cached is free
 * and wiped, and what a fork zeroed has its canaries again. Of a page that was not
 * inherited nothing is free.
 */
void smem_packed_inherit(struct smem_region *region, uint32_t slot);

#endif
