/* SPDX-License-Identifier: ISC */
#include "secret/canary.h"

#include <limits.h>
#include <sodium.h>
#include <string.h>

#include "region/error.h"
#include "region/inherit.h"
#include "region/locks.h"
#include "secret/random.h"

#define PATTERN_BYTES sizeof(uint64_t)
#define NOT_ZERO      0x5a

uint64_t smem_canary_key[2];
static unsigned char key[crypto_shorthash_KEYBYTES];
static atomic_bool ready;

int smem_canary_ready(void)
{
    if (atomic_load_explicit(&ready, memory_order_acquire))
        return 0;
    int result = smem_random_ready();
    if (result != 0)
        return result;
    unsigned char drawn[sizeof key + sizeof smem_canary_key];
    smem_random_fill(drawn, sizeof drawn);
    smem_lock_registry();
    if (!atomic_load(&ready)) {
        memcpy(key, drawn, sizeof key);
        memcpy(smem_canary_key, drawn + sizeof key, sizeof smem_canary_key);
        smem_canary_key[1] |= 1;
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    smem_unlock_registry();
    return 0;
}

/* The slot's pattern: a keyed hash of its address, made when the slot is first used. */
static uint64_t pattern_of(struct smem_region *region, uint32_t slot)
{
    uint64_t *canary = &region->slots[slot].canary;
    if (*canary == 0) {
        unsigned char hash[crypto_shorthash_BYTES];
        uint64_t address = (uintptr_t)smem_slot_data(region, slot);
        crypto_shorthash(hash, (const unsigned char *)&address, sizeof address, key);
        for (size_t i = 0; i < sizeof hash; i++)
            if (hash[i] == 0)
                hash[i] = NOT_ZERO;
        memcpy(canary, hash, sizeof *canary);
    }
    return *canary;
}

/* The pattern's phase is that of the address, so that neither end needs to be aligned. */
static void turn(unsigned char *pattern, const char *address, uint64_t word)
{
    unsigned char bytes[PATTERN_BYTES];
    memcpy(bytes, &word, sizeof bytes);
    for (size_t i = 0; i < PATTERN_BYTES; i++)
        pattern[i] = bytes[((uintptr_t)address + i) % PATTERN_BYTES];
}

static void fill(char *start, char *end, uint64_t word)
{
    unsigned char pattern[PATTERN_BYTES];
    size_t length = (size_t)(end - start);
    size_t done = length < PATTERN_BYTES ? length : PATTERN_BYTES;
    turn(pattern, start, word);
    memcpy(start, pattern, done);
    while (done < length) { /* doubles what is there: whole patterns until the last */
        size_t more = done < length - done ? done : length - done;
        memcpy(start + done, start, more);
        done += more;
    }
}

SMEM_LOOKS_AGAIN static uint64_t load(const char *address)
{
    uint64_t word;
    memcpy(&word, address, sizeof word);
    return word;
}

/* Eight words at a time, which compilers turn into vectors; then the rest. */
SMEM_LOOKS_AGAIN static bool filled(const char *start, const char *end, uint64_t word)
{
    size_t length = (size_t)(end - start), at = 0;
    uint64_t expected = smem_canary_at(start, word), differ = 0;
    for (; at + 8 * PATTERN_BYTES <= length; at += 8 * PATTERN_BYTES)
        for (size_t i = 0; i < 8; i++)
            differ |= load(start + at + i * PATTERN_BYTES) ^ expected;
    for (; at + PATTERN_BYTES <= length; at += PATTERN_BYTES)
        differ |= load(start + at) ^ expected;
    if (at < length && length >= PATTERN_BYTES)
        differ |= load(end - PATTERN_BYTES) ^ smem_canary_at(end, word);
    for (; at < length && length < PATTERN_BYTES; at++)
        differ |= (unsigned char)start[at] ^ (expected >> at * CHAR_BIT & UCHAR_MAX);
    return differ == 0;
}

/*
 * The bytes of the slot behind the secret. The size may be changing, in another thread's
 * hands, but there are none outside the slot.
 */
static char *after_secret(const struct smem_region *region, uint32_t slot)
{
    size_t size = atomic_load_explicit(&region->slots[slot].size, memory_order_relaxed);
    char *after = smem_slot_secret(region, slot) + size;
    char *end = smem_slot_data(region, slot) + region->slot_bytes;
    return after < end ? after : end;
}

void smem_canary_write(struct smem_region *region, uint32_t slot)
{
    uint64_t word = pattern_of(region, slot);
    char *data = smem_slot_data(region, slot);
    fill(data, smem_slot_secret(region, slot), word);
    fill(after_secret(region, slot), data + region->slot_bytes, word);
}

bool smem_canary_intact(const struct smem_region *region, uint32_t slot)
{
    uint64_t word = smem_slot_was_zeroed(region, slot) ? 0 : region->slots[slot].canary;
    char *data = smem_slot_data(region, slot);
    return filled(data, smem_slot_secret(region, slot), word) &&
           filled(after_secret(region, slot), data + region->slot_bytes, word);
}

bool smem_canary_between(const struct smem_slot *slot, const char *start, const char *end)
{
    return filled(start, end, slot->canary);
}

bool smem_canary_near(const struct smem_slot *slot, const char *page, const char *secret,
                      const char *end)
{
    size_t size = atomic_load_explicit(&slot->size, memory_order_relaxed);
    const char *near =
        secret - page < (ptrdiff_t)SMEM_CANARY_NEAR ? page : secret - SMEM_CANARY_NEAR;
    return filled(secret + size, end, slot->canary) && filled(near, secret, slot->canary);
}

void smem_canary_move(const struct smem_slot *slot, char *old, size_t old_size, char *now,
                      size_t size)
{
    fill(old, old + old_size, slot->canary);
    memset(now, 0, size);
}
