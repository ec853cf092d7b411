/* SPDX-License-Identifier: ISC */
#include "region/registry.h"

#include <errno.h>

#include "region/error.h"
#include "region/locks.h"
#include "region/metadata.h"

/* Tables are made as needed and never given back: readers take no lock. */
_Atomic(smem_leaf *) smem_registry_root;

#define LEAF_ENTRIES ((size_t)1 << SMEM_LEAF_BITS)
#define ROOT_ENTRIES ((size_t)1 << SMEM_ROOT_BITS)

static uintptr_t freed[SMEM_FREED_REMEMBERED];
static size_t freed_next;

/* With the registry's lock held: makes the tables that cover [start, end). */
static int make_tables(uintptr_t start, uintptr_t end)
{
    void *table;
    smem_leaf *leaves = atomic_load_explicit(&smem_registry_root, memory_order_relaxed);
    if (leaves == NULL) {
        int result = smem_metadata_map(ROOT_ENTRIES * sizeof *leaves, &table);
        if (result != 0)
            return result;
        leaves = table;
        atomic_store_explicit(&smem_registry_root, leaves, memory_order_release);
    }
    const unsigned shift = SMEM_CHUNK_BITS + SMEM_LEAF_BITS;
    for (uintptr_t i = start >> shift; i <= (end - 1) >> shift; i++) {
        if (atomic_load_explicit(&leaves[i], memory_order_relaxed) != NULL)
            continue;
        int result = smem_metadata_map(LEAF_ENTRIES * sizeof(struct smem_chunk), &table);
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
        struct smem_chunk *chunk = smem_chunk_of(first);
        if (first >= start)
            atomic_store_explicit(&chunk->first, what, memory_order_release);
        if (first + size <= end)
            atomic_store_explicit(&chunk->last, what, memory_order_release);
    }
}

int smem_registry_add(struct smem_region *region)
{
    uintptr_t start = (uintptr_t)region->base, end = start + region->length;
    if (region->length > SMEM_REGION_MOST)
        return smem_error_own("mmap", ENOMEM,
                              "a secret and the guards of it would be longer than 1 TiB");
    if ((end - 1) >> SMEM_ADDRESS_BITS != 0)
        return smem_error_own("mmap", ENOMEM,
                              "the address lies beyond 48 bits, which this library does "
                              "not look up; free memory below");
    smem_lock_registry();
    int result = make_tables(start, end);
    if (result == 0) {
        atomic_store_explicit(&region->where, smem_where(start, region->length),
                              memory_order_release);
        enter(region, region);
    }
    smem_unlock_registry();
    return result;
}

void smem_registry_remove(struct smem_region *region)
{
    smem_lock_registry();
    /*
     * Who has these addresses next holds the lock after this: no thread that remembers the
     * region takes it for that of a new secret.
     */
    atomic_store_explicit(&region->where, 0, memory_order_relaxed);
    enter(region, NULL);
    smem_unlock_registry();
}

static struct smem_region *find(uintptr_t address)
{
    const void *pointer = (const void *)address; /* NOLINT(performance-no-int-to-ptr) */
    return smem_registry_find(pointer);
}

struct smem_region *smem_registry_meet(const void *start, size_t length)
{
    /* No region is shorter than a chunk: one that lies between has one of these bytes. */
    const uintptr_t leaf = LEAF_ENTRIES << SMEM_CHUNK_BITS;
    const uintptr_t last = (uintptr_t)start + length - 1;
    struct smem_region *met = NULL;
    uintptr_t at = (uintptr_t)start;
    while (at <= last && at >> SMEM_ADDRESS_BITS == 0 && met == NULL) {
        bool table = smem_chunk_of(at) != NULL;
        met = table ? find(at) : NULL;
        at = table ? at + SMEM_REGION_LEAST : (at | (leaf - 1)) + 1;
    }
    return met != NULL ? met : find(last);
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
            smem_stripe_of(&region->object) == stripe) {
            smem_stripe_open(stripe, region->key);
            return region;
        }
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
