/* SPDX-License-Identifier: ISC */
#include "region/registry.h"

#include <errno.h>

#include "region/error.h"
#include "region/locks.h"
#include "region/metadata.h"

/*
 * Two levels of tables over the addresses that a process may have, by chunks:
 *
 *      address   | root index, 17 bits | leaf index, 15 bits | 16 bits in the chunk |
 *
 * A region is no shorter than a chunk, so that it holds the first or the last byte of
 * every chunk that it touches, and two entries tell all that lie in one.
 */
#define CHUNK_BITS   16U
#define LEAF_BITS    15U
#define ROOT_BITS    17U
#define ADDRESS_BITS (ROOT_BITS + LEAF_BITS + CHUNK_BITS)
_Static_assert(SMEM_REGION_LEAST == (size_t)1 << CHUNK_BITS, "a region fills a chunk");

#define LEAF_ENTRIES ((size_t)1 << LEAF_BITS)
#define ROOT_ENTRIES ((size_t)1 << ROOT_BITS)

struct chunk {
    _Atomic(struct smem_region *) first; /* holds the chunk's first byte */
    _Atomic(struct smem_region *) last;  /* holds its last byte */
};

typedef _Atomic(struct chunk *) leaf;

/* Tables are made as needed and never given back: readers take no lock. */
static _Atomic(leaf *) root;

static uintptr_t freed[SMEM_FREED_REMEMBERED];
static size_t freed_next;

static struct chunk *chunk_of(uintptr_t address)
{
    leaf *leaves = atomic_load_explicit(&root, memory_order_acquire);
    if (leaves == NULL || address >> ADDRESS_BITS != 0)
        return NULL;
    struct chunk *chunks = atomic_load_explicit(
        &leaves[address >> (CHUNK_BITS + LEAF_BITS)], memory_order_acquire);
    return chunks == NULL ? NULL : &chunks[(address >> CHUNK_BITS) & (LEAF_ENTRIES - 1)];
}

/* With the registry's lock held: makes the tables that cover [start, end). */
static int make_tables(uintptr_t start, uintptr_t end)
{
    void *table;
    leaf *leaves = atomic_load_explicit(&root, memory_order_relaxed);
    if (leaves == NULL) {
        int result = smem_metadata_map(ROOT_ENTRIES * sizeof *leaves, &table);
        if (result != 0)
            return result;
        leaves = table;
        atomic_store_explicit(&root, leaves, memory_order_release);
    }
    const unsigned shift = CHUNK_BITS + LEAF_BITS;
    for (uintptr_t i = start >> shift; i <= (end - 1) >> shift; i++) {
        if (atomic_load_explicit(&leaves[i], memory_order_relaxed) != NULL)
            continue;
        int result = smem_metadata_map(LEAF_ENTRIES * sizeof(struct chunk), &table);
        if (result != 0)
            return result;
        atomic_store_explicit(&leaves[i], table, memory_order_release);
    }
    return 0;
}

/* With the registry's lock held: puts what where the region lies, or NULL where it lay. */
static void enter(struct smem_region *region, struct smem_region *what)
{
    const uintptr_t size = SMEM_REGION_LEAST;
    uintptr_t start = (uintptr_t)region->base, end = start + region->length;
    for (uintptr_t first = start & ~(size - 1); first < end; first += size) {
        struct chunk *chunk = chunk_of(first);
        if (first >= start)
            atomic_store_explicit(&chunk->first, what, memory_order_release);
        if (first + size <= end)
            atomic_store_explicit(&chunk->last, what, memory_order_release);
    }
}

int smem_registry_add(struct smem_region *region)
{
    uintptr_t start = (uintptr_t)region->base, end = start + region->length;
    if ((end - 1) >> ADDRESS_BITS != 0)
        return smem_error_own("mmap", ENOMEM,
                              "the address lies beyond 48 bits, which this library does "
                              "not look up; free memory below");
    smem_lock_registry();
    int result = make_tables(start, end);
    if (result == 0)
        enter(region, region);
    smem_unlock_registry();
    return result;
}

void smem_registry_remove(struct smem_region *region)
{
    smem_lock_registry();
    enter(region, NULL);
    smem_unlock_registry();
}

static bool holds(const struct smem_region *region, uintptr_t address)
{
    return region != NULL &&
           address - atomic_load_explicit(&region->start, memory_order_relaxed) <
               atomic_load_explicit(&region->extent, memory_order_relaxed);
}

struct smem_region *smem_registry_find(const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer;
    struct chunk *chunk = chunk_of(address);
    if (chunk == NULL)
        return NULL;
    struct smem_region *region =
        atomic_load_explicit(&chunk->first, memory_order_acquire);
    if (holds(region, address))
        return region;
    region = atomic_load_explicit(&chunk->last, memory_order_acquire);
    return holds(region, address) ? region : NULL;
}

struct smem_region *smem_registry_meet(const void *start, size_t length)
{
    /* No region is shorter than a chunk: one that lies between has one of these bytes. */
    struct smem_region *met = NULL;
    for (size_t at = 0; at < length && met == NULL; at += SMEM_REGION_LEAST)
        met = smem_registry_find((const char *)start + at);
    return met != NULL ? met : smem_registry_find((const char *)start + length - 1);
}

struct smem_region *smem_registry_acquire(const void *address)
{
    for (;;) {
        struct smem_region *region = smem_registry_find(address);
        if (region == NULL)
            return NULL;
        /* Until its stripe is held the region may end, and its object become another. */
        unsigned stripe = smem_stripe_of(&region->object);
        smem_lock_stripe(stripe);
        if (smem_registry_find(address) == region &&
            smem_stripe_of(&region->object) == stripe)
            return region;
        smem_unlock_stripe(stripe);
    }
}

void smem_registry_remember_freed(const void *secret)
{
    smem_lock_registry();
    freed[freed_next] = (uintptr_t)secret;
    freed_next = (freed_next + 1) % SMEM_FREED_REMEMBERED;
    smem_unlock_registry();
}

bool smem_registry_was_freed(const void *address)
{
    bool found = false;
    smem_lock_registry();
    for (size_t i = 0; i < SMEM_FREED_REMEMBERED && !found; i++)
        found = address != NULL && freed[i] == (uintptr_t)address;
    smem_unlock_registry();
    return found;
}
