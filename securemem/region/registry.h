/* SPDX-License-Identifier: ISC */
/* From an address to its region, in constant time and without a lock. */
#ifndef SMEM_REGISTRY_H
#define SMEM_REGISTRY_H

#include <stdbool.h>

#include "region/region.h"

/*
 * Two levels of tables over the addresses that a process may have, by chunks:
 *
 *      address   | root index, 17 bits | leaf index, 15 bits | 16 bits in the chunk |
 *
 * A region is no shorter than a chunk, so that it holds the first or the last byte of
 * every chunk that it touches, and two entries tell all that lie in one.
 */
#define SMEM_LEAF_BITS    15U
#define SMEM_ROOT_BITS    17U
#define SMEM_ADDRESS_BITS (SMEM_ROOT_BITS + SMEM_LEAF_BITS + SMEM_CHUNK_BITS)

struct smem_chunk {
    _Atomic(struct smem_region *) first; /* holds the chunk's first byte */
    _Atomic(struct smem_region *) last;  /* holds its last byte */
};

typedef _Atomic(struct smem_chunk *) smem_leaf;
extern _Atomic(smem_leaf *) smem_registry_root;

/* The chunk of an address, or NULL where no region ever was. */
static inline struct smem_chunk *smem_chunk_of(uintptr_t address)
{
    smem_leaf *leaves = atomic_load_explicit(&smem_registry_root, memory_order_acquire);
    if (leaves == NULL || address >> SMEM_ADDRESS_BITS != 0)
        return NULL;
    struct smem_chunk *chunks = atomic_load_explicit(
        &leaves[address >> (SMEM_CHUNK_BITS + SMEM_LEAF_BITS)], memory_order_acquire);
    if (chunks == NULL)
        return NULL;
    return &chunks[(address >> SMEM_CHUNK_BITS) & (((size_t)1 << SMEM_LEAF_BITS) - 1)];
}

static inline bool smem_region_holds(const struct smem_region *region, uintptr_t address)
{
    if (region == NULL)
        return false;
    /* It is written last and taken away first: the start is that of the same region. */
    uintptr_t extent = atomic_load_explicit(&region->extent, memory_order_acquire);
    return address - atomic_load_explicit(&region->start, memory_order_relaxed) < extent;
}

/* A region that has one of these addresses, or NULL. */
struct smem_region *smem_registry_meet(const void *start, size_t length);

/* 0 or a negative errno, recorded. */
int smem_registry_add(struct smem_region *region);

/* Forgets the region, if it is known. */
void smem_registry_remove(struct smem_region *region);

/*
 * The region that holds an address, or NULL. It may be ending, unless the caller knows
 * that a secret in it is alive.
 */
static inline struct smem_region *smem_registry_find(const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer;
    struct smem_chunk *chunk = smem_chunk_of(address);
    if (chunk == NULL)
        return NULL;
    struct smem_region *region =
        atomic_load_explicit(&chunk->first, memory_order_acquire);
    if (smem_region_holds(region, address))
        return region;
    region = atomic_load_explicit(&chunk->last, memory_order_acquire);
    return smem_region_holds(region, address) ? region : NULL;
}

/*
 * The region that holds address, with its stripe locked for the caller and its key open;
 * NULL, with nothing locked, where there is none.
 */
struct smem_region *smem_registry_acquire(const void *address);

/* The last secrets that were freed, known when their region is gone. */
#define SMEM_FREED_REMEMBERED 512U

void smem_registry_remember_freed(const void *secret);
bool smem_registry_was_freed(const void *address);

#endif
