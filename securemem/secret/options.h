/* SPDX-License-Identifier: ISC */
/* What may be asked of an arena, and what is asked where nothing is said. */
#ifndef SMEM_OPTIONS_H
#define SMEM_OPTIONS_H

#include <securemem/arena.h>

/*
 * Defaults become what they stand for. 0, or -EINVAL, recorded, where an option is out of its
 * range, or does not go with another.
 */
int smem_options_settle(securemem_arena_options *options);

#endif
