/* SPDX-License-Identifier: ISC */
#include "region/locks.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernel/hot.h"
#include "region/keys.h"

#define CACHE_LINE 64

/*
 * Threads that hand secrets to each other meet at a stripe again and again, each for less
 * than a microsecond: who waits tries for as long before it sleeps. Other C libraries than
 * glibc do so by default.
 */
#if defined(PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP)
#define BRIEF_MUTEX PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#else
#define BRIEF_MUTEX PTHREAD_MUTEX_INITIALIZER
#endif

struct padded_mutex {
    _Alignas(CACHE_LINE) pthread_mutex_t mutex;
    uint32_t opened, before; /* bits of the key that is open, and the rights before */
};

static struct padded_mutex sealed[SMEM_SEALED_STRIPES] = {
    [0 ... SMEM_SEALED_STRIPES - 1] = {.mutex = BRIEF_MUTEX},
};
static struct padded_mutex stripes[SMEM_STRIPES] = {
    [0 ... SMEM_STRIPES - 1] = {.mutex = BRIEF_MUTEX},
};
static struct padded_mutex ranges = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static struct padded_mutex registry = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static struct padded_mutex pools = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static struct padded_mutex signals = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* A default mutex fails only when its memory is damaged: there is nothing to go on with.
 */
SMEM_HOT static void take(struct padded_mutex *lock)
{
    if (pthread_mutex_lock(&lock->mutex) != 0)
        abort();
}

SMEM_HOT static void release(struct padded_mutex *lock)
{
    if (pthread_mutex_unlock(&lock->mutex) != 0)
        abort();
}

void smem_lock_sealed(unsigned stripe)
{
    take(&sealed[stripe]);
}

void smem_unlock_sealed(unsigned stripe)
{
    release(&sealed[stripe]);
}

void smem_lock_every_sealed(void)
{
    for (unsigned i = 0; i < SMEM_SEALED_STRIPES; i++)
        take(&sealed[i]);
}

void smem_unlock_every_sealed(void)
{
    for (unsigned i = SMEM_SEALED_STRIPES; i-- > 0;)
        release(&sealed[i]);
}

SMEM_HOT void smem_lock_stripe(unsigned stripe)
{
    take(&stripes[stripe]);
}

void smem_stripe_open(unsigned stripe, unsigned key)
{
    struct padded_mutex *lock = &stripes[stripe];
    if (key == 0)
        return;
    lock->opened = smem_key_bits(key);
    lock->before = smem_rights_open(lock->opened);
}

SMEM_HOT void smem_unlock_stripe(unsigned stripe)
{
    struct padded_mutex *lock = &stripes[stripe];
    if (lock->opened != 0)
        smem_rights_restore(lock->opened, lock->before);
    lock->opened = 0;
    release(lock);
}

void smem_lock_ranges(void)
{
    take(&ranges);
}

void smem_unlock_ranges(void)
{
    release(&ranges);
}

void smem_lock_registry(void)
{
    take(&registry);
}

void smem_unlock_registry(void)
{
    release(&registry);
}

void smem_lock_pools(void)
{
    take(&pools);
}

void smem_unlock_pools(void)
{
    release(&pools);
}

void smem_lock_signals(void)
{
    take(&signals);
}

void smem_unlock_signals(void)
{
    release(&signals);
}

void smem_lock_all(void)
{
    smem_lock_every_sealed();
    for (unsigned i = 0; i < SMEM_STRIPES; i++)
        take(&stripes[i]);
    take(&ranges);
    take(&registry);
    take(&pools);
    take(&signals);
}

void smem_unlock_all(void)
{
    release(&signals);
    release(&pools);
    release(&registry);
    release(&ranges);
    for (unsigned i = SMEM_STRIPES; i-- > 0;)
        release(&stripes[i]);
    smem_unlock_every_sealed();
}
