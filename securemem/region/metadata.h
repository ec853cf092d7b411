/* SPDX-License-Identifier: ISC */
/*
 * Memory for bookkeeping, apart from every secret: between guard pages of its own,
 * without a heap. It is neither locked nor wiped: nothing secret is in it.
 */
#ifndef SMEM_METADATA_H
#define SMEM_METADATA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What one thread writes and another reads lies so far apart. */
#define SMEM_CACHE_LINE ((size_t)64)

/*
 * Under mlockall(MCL_FUTURE) a new mapping is locked and charged, which bookkeeping gives
 * back, unless the process is deterministic: then it stays, since a touch must not fault.
 */
void smem_metadata_stay_locked(bool stay);
bool smem_metadata_stays_locked(void);

/* A zero-filled mapping of at least length bytes; 0 or a negative errno, recorded. */
int smem_metadata_map(size_t length, void **out);

/* The same, but zeros in a forked child (MADV_WIPEONFORK); refused where that is. */
int smem_metadata_map_unforked(size_t length, void **out);

/* Ends such a mapping; length as it was asked for. 0 or a negative errno. */
int smem_metadata_unmap(void *start, size_t length);

/*
 * As smem_metadata_map, and its end, for what comes and goes: a few that were given, all of
 * their bytes zero, wait for the next one who takes as many. They are not unmapped.
 */
int smem_metadata_take(size_t length, void **out);
void smem_metadata_give(void *start, size_t length);

/*
 * Objects of one type in memory that is never given back, so that a pointer to one that
 * has ended is stale but still points to an object of that type. Each begins with this
 * header, which may be read without a lock. State 0 is free; the owner of the type gives
 * the other values a meaning, and keeps in stripe which lock guards the object.
 */
struct smem_pool_object {
    atomic_int state;
    atomic_uint stripe;
    struct smem_pool_object *next_free;
};

static inline unsigned smem_stripe_of(const struct smem_pool_object *object)
{
    return atomic_load_explicit(&object->stripe, memory_order_relaxed);
}

struct smem_pool_chunk;

/* Bytes of the mapping that objects of a type stand in, but for its guards; at least. */
#define SMEM_POOL_CHUNK_BYTES ((size_t)64 * 1024)

struct smem_pool {
    size_t object_size; /* of the type, a multiple of its alignment */
    size_t lasting;     /* bytes at its start, header included, that are not cleared */
    _Atomic(struct smem_pool_chunk *) chunks;
    struct smem_pool_object *free;
};

/* An object, zero-filled behind its lasting bytes, whose state is still 0; 0 or a negative errno, recorded. */
int smem_pool_take(struct smem_pool *pool, void **out);

/* Clears the object behind its lasting bytes and makes it free. */
void smem_pool_give(struct smem_pool *pool, void *object);

/* Whether pointer is an object of the pool, free or not. Reads nothing at pointer. */
bool smem_pool_has(struct smem_pool *pool, const void *pointer);

/*
 * Visits every object that is not free. Takes no lock, and may run in a signal handler:
 * an object made meanwhile may be missed.
 */
void smem_pool_each(struct smem_pool *pool, void (*visit)(void *object, void *context),
                    void *context);

#endif
