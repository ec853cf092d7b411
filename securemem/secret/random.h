/* SPDX-License-Identifier: ISC */
/*
 * Choices that cannot be foreseen from outside, seeded by libsodium. For places, not for
 * secrets: who sees some of them can tell the next.
 */
#ifndef SMEM_RANDOM_H
#define SMEM_RANDOM_H

#include <sodium.h>
#include <stdint.h>

static inline uint64_t smem_random_seed(void)
{
    uint64_t seed;
    randombytes_buf(&seed, sizeof seed);
    return seed;
}

/* A number below the limit (the generator of Knuth's MMIX, its high half). */
static inline uint32_t smem_random_below(uint64_t *state, uint32_t limit)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((*state >> 32) * limit >> 32);
}

#endif
