/* SPDX-License-Identifier: ISC */
/* Random bytes, of libsodium, and choices that they seed. None is a cancellation point. */
#ifndef SMEM_RANDOM_H
#define SMEM_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* 0 where libsodium is ready for everything, or -EAGAIN, recorded. */
int smem_random_ready(void);

/* Aborts where there are none (libsodium). */
void smem_random_fill(void *place, size_t length);

/*
 * A seed of what follows: choices that cannot be foreseen from outside. For places, not for
 * secrets: who sees some of them can tell the next.
 */
static inline uint64_t smem_random_seed(void)
{
    uint64_t seed;
    smem_random_fill(&seed, sizeof seed);
    return seed;
}

/* The generator of Knuth's MMIX. */
static inline uint64_t smem_random_next(uint64_t *state)
{
    return *state = *state * 6364136223846793005U + 1442695040888963407U;
}

/* A number below the limit, out of the high half: of the state that was, so as not to wait. */
static inline uint32_t smem_random_below(uint64_t *state, uint32_t limit)
{
    uint64_t now = *state;
    (void)smem_random_next(state);
    return (uint32_t)((now >> 32) * limit >> 32);
}

#endif
