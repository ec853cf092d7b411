/* SPDX-License-Identifier: ISC */
/*
 * Canaries: every byte of a slot's data pages that is not the secret's own. The pattern
 * is 8 bytes, none of them zero, so that a stray terminator is seen; it differs from slot
 * to slot and is kept with the bookkeeping, out of reach of what overwrites it.
 */
#ifndef SMEM_CANARY_H
#define SMEM_CANARY_H

#include <limits.h>
#include <string.h>

#include "region/region.h"

/*
 * A canary that another thread may be about to write is broken if it is so each of so many
 * times: each time that thread would have to be as far with another secret.
 */
#define SMEM_LOOKS       16U
#define SMEM_LOOKS_AGAIN __attribute__((no_sanitize("thread")))

/* A packed secret has no fewer bytes of canary behind it. */
#define SMEM_CANARY_LEAST 8U

/* Two random words, the second odd. */
extern uint64_t smem_canary_key[2];

/*
 * The pattern for what begins at an address: a keyed product, folded, so that one does
 * not tell another; no byte of it is zero.
 */
static inline uint64_t smem_canary_for(const void *address)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)((uintptr_t)address ^ smem_canary_key[0]) * smem_canary_key[1];
    return ((uint64_t)product ^ (uint64_t)(product >> 64)) | 0x0101010101010101U;
}

/* Draws the process's key. 0 or a negative errno, recorded. Call before anything else. */
int smem_canary_ready(void);

/* Fills the bytes around the secret of a writable slot. */
void smem_canary_write(struct smem_region *region, uint32_t slot);

/* Whether they are intact; the slot is readable. */
bool smem_canary_intact(const struct smem_region *region, uint32_t slot);

/* An overrun that goes backwards meets these first. */
#define SMEM_CANARY_NEAR 64U

/* Every page is so large, or larger. */
#define SMEM_LEAST_PAGE 4096U

/*
 * Has the processor fetch what is needed first of what may be a secret, and may be none: it
 * faults not. That is the canary before it; or its own first bytes, to be wiped, where a
 * page begins with it and the guard is before.
 */
static inline void smem_canary_expect(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    uintptr_t first = at % SMEM_LEAST_PAGE == 0 ? at : at - SMEM_CANARY_NEAR;
    __builtin_prefetch((const void *)first); /* NOLINT(performance-no-int-to-ptr) */
}

/* The pattern as it stands at an address: its phase is that of the address. */
static inline uint64_t smem_canary_at(const char *address, uint64_t pattern)
{
    unsigned bits = (unsigned)((uintptr_t)address % sizeof pattern) * CHAR_BIT;
    return pattern >> bits | pattern << ((64 - bits) % 64);
}

/* Whether so many bytes before an address are the pattern as it stands there. */
__attribute__((always_inline)) static inline bool smem_canary_before(const char *address,
                                                                     uint64_t turned)
{
    typedef uint64_t pair __attribute__((vector_size(16), aligned(1)));
    const pair *before = (const pair *)(const void *)(address - SMEM_CANARY_NEAR);
    pair expected = {turned, turned};
    pair differ = (before[0] ^ expected) | (before[1] ^ expected) |
                  (before[2] ^ expected) | (before[3] ^ expected);
    return (differ[0] | differ[1]) == 0;
}

/*
 * Whether so many bytes before an end, 1 to 15, are the pattern as it stands there; the end
 * is a multiple of its length, and 16 bytes before it may be read.
 */
static inline bool smem_canary_behind(const char *end, size_t count, uint64_t pattern)
{
    uint64_t last, first;
    memcpy(&last, end - sizeof last, sizeof last);
    memcpy(&first, end - sizeof last - sizeof first, sizeof first);
    if (count <= sizeof last)
        return (last ^ pattern) >> (sizeof last - count) * CHAR_BIT == 0;
    return last == pattern &&
           (first ^ pattern) >> (sizeof last + sizeof first - count) * CHAR_BIT == 0;
}

/* Whether these bytes of a slot, before or behind its secret, are intact. */
bool smem_canary_between(const struct smem_slot *slot, const char *start,
                         const char *end);

/*
 * Whether the bytes of a page behind the secret, and up to SMEM_CANARY_NEAR before it, are
 * intact.
 */
bool smem_canary_near(const struct smem_slot *slot, const char *page, const char *secret,
                      const char *end);

/*
 * Gives a page whose secret of another size or place was wiped, and whose canaries stayed,
 * its new one: canary where the old one was, zeros where the new one is.
 */
void smem_canary_move(const struct smem_slot *slot, char *old, size_t old_size, char *now,
                      size_t size);

#endif
