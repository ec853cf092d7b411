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

/*
 * Where a region lies, in one word: the object may become that of another region between any
 * two looks, and the start of one with the length of another would hold addresses of a third.
 * From the lowest bit: length, start, in units of 4 KiB; 0: nowhere.
 */
#define SMEM_WHERE_LENGTH_BITS 28U
#define SMEM_WHERE_UNIT_BITS   12U
#define SMEM_REGION_MOST                                                                 \
    ((((uint64_t)1 << SMEM_WHERE_LENGTH_BITS) - 1) << SMEM_WHERE_UNIT_BITS)

static inline uint64_t smem_where(uintptr_t start, size_t length)
{
    return (uint64_t)start >> SMEM_WHERE_UNIT_BITS << SMEM_WHERE_LENGTH_BITS |
           length >> SMEM_WHERE_UNIT_BITS;
}

static inline bool smem_region_holds(const struct smem_region *region, uintptr_t address)
{
    if (region == NULL)
        return false;
    uint64_t where = atomic_load_explicit(&region->where, memory_order_acquire);
    uint64_t start = where >> SMEM_WHERE_LENGTH_BITS << SMEM_WHERE_UNIT_BITS;
    return address - start < (where << SMEM_WHERE_UNIT_BITS & SMEM_REGION_MOST);
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
