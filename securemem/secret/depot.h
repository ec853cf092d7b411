/* SPDX-License-Identifier: ISC */
/*
 * An arena's depot: slots of one page that no thread caches, and CACHED as if one did.
 * Threads that free many leave them to those that need many. They are listed apart from
 * themselves: who takes some fetches all of their cache lines at once, and not one after
 * the other. All with the stripe held.
 */
#ifndef SMEM_DEPOT_H
#define SMEM_DEPOT_H

#include "secret/arena.h"

/* A page of them, but for one: bookkeeping of the same size waits for the next who asks. */
#define SMEM_DEPOT_MOST 255U

struct smem_depot_slot {
    struct smem_slot *slot;
    char *page; /* of the slot */
};

/* False where it is full, or the arena may not keep so much idle, or memory is short. */
bool smem_depot_leave(securemem_arena *arena, struct smem_depot_slot left);

/* The last one that was left; false where none is. */
bool smem_depot_take(securemem_arena *arena, struct smem_depot_slot *out);

/* Of an arena that ends, and in a forked child, where nobody is to have what was in it. */
void smem_depot_forget(securemem_arena *arena);
void smem_depot_end(securemem_arena *arena);

#endif
