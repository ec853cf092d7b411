/* SPDX-License-Identifier: ISC */
/* What remains of an arena's means, and telling the program when it is little. */
#ifndef SMEM_LOW_H
#define SMEM_LOW_H

#include "secret/arena.h"

/* A call of the program that is due. */
struct smem_low {
    void (*on_low)(securemem_arena *arena, size_t remaining, void *user);
    void *user;
    size_t remaining;
};

/*
 * With the stripe held, after an allocation or its refusal: what is due now, once until more
 * remains again, and whenever one is refused.
 */
struct smem_low smem_arena_low(securemem_arena *arena, bool refused);

/* With the stripe held, after a free. */
void smem_arena_note_free(securemem_arena *arena);

/* With no lock held. */
void smem_arena_tell_low(securemem_arena *arena, struct smem_low low);

#endif
