/* SPDX-License-Identifier: ISC */
#include "region/metadata.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "kernel/kernel.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/locks.h"

/* As many arenas of a connection may end before others begin. */
#define SPARES 16U

struct smem_pool_chunk {
    struct smem_pool_chunk *next;
    size_t capacity;
    atomic_size_t used; /* objects that were handed out at least once */
    _Alignas(SMEM_CACHE_LINE) char objects[];
};

static size_t rounded(size_t length, size_t page)
{
    return (length + page - 1) / page * page;
}

/* The process for which it was said, from 1 on: a forked child has no lock to keep. */
static _Atomic uint64_t stays_locked;

void smem_metadata_stay_locked(bool stay)
{
    atomic_store(&stays_locked, stay ? (uint64_t)smem_epoch() + 1 : 0);
}

bool smem_metadata_stays_locked(void)
{
    return atomic_load(&stays_locked) == (uint64_t)smem_epoch() + 1;
}

static int unlock(char *start, size_t length)
{
    int result = smem_kernel_unlock(start, length);
    if (result == 0 || smem_kernel_is_locked(start, length) == 0)
        return 0;
    return smem_error_kernel("munlock", result, length);
}

/* Its guards at least. */
static int give_lock_back(char *start, size_t inner, size_t page)
{
    if (!smem_metadata_stays_locked())
        return unlock(start, inner + 2 * page);
    int result = unlock(start, page);
    return result == 0 ? unlock(start + page + inner, page) : result;
}

int smem_metadata_map(size_t length, void **out)
{
    size_t page = smem_kernel_page_size();
    size_t inner = rounded(length, page), whole = inner + 2 * page;
    void *start = NULL;
    int result = smem_kernel_reserve(whole, &start);
    if (result != 0)
        return smem_error_kernel("mmap", result, whole);

    result = give_lock_back(start, inner, page);
    if (result != 0)
        goto unmap;
    result = smem_kernel_protect((char *)start + page, inner, SMEM_ACCESS_WRITE);
    if (result != 0) {
        result = smem_error_kernel("mprotect", result, inner);
        goto unmap;
    }
    /* Most of it stays untouched, and would come in by 2 MiB. Refused, it may. */
    (void)smem_kernel_advise(start, whole, SMEM_ADVICE_NO_HUGE);
    *out = (char *)start + page;
    return 0;

unmap:
    /* What cannot be unmapped holds nothing; the first error is the one to tell. */
    (void)smem_kernel_unmap(start, whole);
    return result;
}

int smem_metadata_unmap(void *start, size_t length)
{
    size_t page = smem_kernel_page_size();
    return smem_kernel_unmap((char *)start - page, rounded(length, page) + 2 * page);
}

/* Guarded by the lock of the pools; length 0: none. */
static struct spare {
    void *start;
    size_t length;
} spares[SPARES];

/* The first of that length; or NULL. */
static struct spare *find_spare(size_t length)
{
    for (size_t i = 0; i < SPARES; i++)
        if (spares[i].length == length)
            return &spares[i];
    return NULL;
}

int smem_metadata_take(size_t length, void **out)
{
    smem_lock_pools();
    struct spare *spare = find_spare(length);
    if (spare != NULL) {
        *out = spare->start;
        spare->length = 0;
    }
    smem_unlock_pools();
    return spare != NULL ? 0 : smem_metadata_map(length, out);
}

void smem_metadata_give(void *start, size_t length)
{
    smem_lock_pools();
    struct spare *room = find_spare(0);
    if (room != NULL)
        *room = (struct spare){start, length};
    smem_unlock_pools();
    if (room == NULL)
        (void)smem_metadata_unmap(start, length); /* refused, it is what nobody uses */
}

int smem_metadata_map_unforked(size_t length, void **out)
{
    size_t page = smem_kernel_page_size();
    int result = smem_metadata_map(length, out);
    if (result != 0)
        return result;
    result =
        smem_kernel_advise(*out, page, SMEM_ADVICE_UNKNOWN) == 0
            ? -EOPNOTSUPP /* an emulator takes any advice */
            : smem_kernel_advise(*out, rounded(length, page), SMEM_ADVICE_WIPEONFORK);
    if (result == 0)
        return 0;
    result = smem_error_kernel("madvise(MADV_WIPEONFORK)", result, length);
    smem_error_hold();
    (void)smem_metadata_unmap(*out, length);
    smem_error_resume();
    return result;
}

static size_t stride_of(const struct smem_pool *pool)
{
    return rounded(pool->object_size, SMEM_CACHE_LINE);
}

static struct smem_pool_object *object_at(const struct smem_pool *pool,
                                          struct smem_pool_chunk *chunk, size_t index)
{
    return (struct smem_pool_object *)(void *)(chunk->objects + index * stride_of(pool));
}

static int grow(struct smem_pool *pool)
{
    void *start = NULL;
    int result = smem_metadata_map(SMEM_POOL_CHUNK_BYTES, &start);
    if (result != 0)
        return result;
    struct smem_pool_chunk *chunk = start;
    /* The analyzer cannot know that an error is never 0. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    chunk->capacity = (SMEM_POOL_CHUNK_BYTES - sizeof *chunk) / stride_of(pool);
    chunk->next = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
    atomic_store_explicit(&pool->chunks, chunk, memory_order_release);
    return 0;
}

/* What was never used is not touched: its pages come when they are needed. */
static int take_unused(struct smem_pool *pool, struct smem_pool_object **out)
{
    struct smem_pool_chunk *chunk =
        atomic_load_explicit(&pool->chunks, memory_order_relaxed);
    if (chunk == NULL || atomic_load(&chunk->used) == chunk->capacity) {
        int result = grow(pool);
        if (result != 0)
            return result;
        chunk = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
    }
    size_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
    *out = object_at(pool, chunk, used);
    atomic_store_explicit(&chunk->used, used + 1, memory_order_release);
    return 0;
}

int smem_pool_take(struct smem_pool *pool, void **out)
{
    smem_lock_pools();
    int result = 0;
    struct smem_pool_object *object = pool->free;
    if (object != NULL)
        pool->free = object->next_free;
    else
        result = take_unused(pool, &object);
    smem_unlock_pools();
    *out = object;
    return result;
}

void smem_pool_give(struct smem_pool *pool, void *pointer)
{
    struct smem_pool_object *object = pointer;
    atomic_store_explicit(&object->state, 0, memory_order_release);
    memset((char *)object + pool->lasting, 0, pool->object_size - pool->lasting);
    smem_lock_pools();
    object->next_free = pool->free;
    pool->free = object;
    smem_unlock_pools();
}

bool smem_pool_has(struct smem_pool *pool, const void *pointer)
{
    struct smem_pool_chunk *chunk =
        atomic_load_explicit(&pool->chunks, memory_order_acquire);
    for (; chunk != NULL; chunk = chunk->next) {
        uintptr_t offset = (uintptr_t)pointer - (uintptr_t)chunk->objects;
        if (offset < chunk->capacity * stride_of(pool))
            return offset % stride_of(pool) == 0;
    }
    return false;
}

void smem_pool_each(struct smem_pool *pool, void (*visit)(void *, void *), void *context)
{
    struct smem_pool_chunk *chunk =
        atomic_load_explicit(&pool->chunks, memory_order_acquire);
    for (; chunk != NULL; chunk = chunk->next) {
        size_t used = atomic_load_explicit(&chunk->used, memory_order_acquire);
        for (size_t i = 0; i < used; i++) {
            struct smem_pool_object *object = object_at(pool, chunk, i);
            if (atomic_load_explicit(&object->state, memory_order_acquire) != 0)
                visit(object, context);
        }
    }
}
