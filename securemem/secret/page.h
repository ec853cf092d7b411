/* SPDX-License-Identifier: ISC */
/*
 * Packed secrets: many of one size class to a page, pages side by side in a run.
 *
 *      run    |guard| page | page | page | ...  not committed, or guard |
 *      page   |secret canary|secret canary|secret canary| left over |
 *
 * The bookkeeping of a run lies in its extra bytes:
 *
 *      struct smem_page, free bits | of the next page | ... | words | classes |
 *
 * There is a word for every 16 bytes, so that a pointer leads to it without a look at the
 * page; those where no secret begins stay 0. A word says whether its secret is free,
 * cached by a thread, or live, and then its size and alignment. Secrets are handed to
 * threads 32 at a time, side by side, and their words, and they themselves, by whole cache
 * lines.
 *
 *      free  -- a thread's cache is filled -->  cached  -- alloc -->  live
 *      free  <-- a cache is emptied --          cached  <-- free --   live
 *
 * Words change without a lock by the thread that owns the secret or its place in a cache;
 * all else is guarded by the stripe of the arena.
 */
#ifndef SMEM_PAGE_H
#define SMEM_PAGE_H

#include <limits.h>

#include "region/registry.h"
#include "secret/canary.h"
#include "secret/clear.h"
#include "secret/sizes.h"

typedef _Atomic uint32_t smem_word;

/* Of the secrets on a page, the last ones if it has none; 0 where it never had any. */
typedef _Atomic uint8_t smem_class;

enum smem_word_state {
    SMEM_WORD_FREE = 0,
    SMEM_WORD_CACHED,
    SMEM_WORD_LIVE,
    SMEM_WORD_INHERITED /* live, and older than the process */
};

/* From the lowest bit: size, alignment, state. */
#define SMEM_WORD_SIZE_BITS   11U
#define SMEM_WORD_ALIGN_BITS  3U
#define SMEM_WORD_STATE_SHIFT (SMEM_WORD_SIZE_BITS + SMEM_WORD_ALIGN_BITS)

static inline uint32_t smem_word_live(enum smem_word_state state, size_t size,
                                      unsigned align_log2)
{
    unsigned align =
        align_log2 < SMEM_UNIT_LOG2 ? 0 : align_log2 - (unsigned)SMEM_UNIT_LOG2;
    return (uint32_t)state << SMEM_WORD_STATE_SHIFT | align << SMEM_WORD_SIZE_BITS |
           (uint32_t)size;
}

/* Of a secret that is not live. */
static inline uint32_t smem_word_of(enum smem_word_state state)
{
    return smem_word_live(state, 0, 0);
}

static inline enum smem_word_state smem_word_state(uint32_t word)
{
    return (enum smem_word_state)(word >> SMEM_WORD_STATE_SHIFT);
}

static inline size_t smem_word_size(uint32_t word)
{
    return word & ((1U << SMEM_WORD_SIZE_BITS) - 1);
}

static inline unsigned smem_word_align_log2(uint32_t word)
{
    return SMEM_UNIT_LOG2 +
           (word >> SMEM_WORD_SIZE_BITS & ((1U << SMEM_WORD_ALIGN_BITS) - 1));
}

static inline bool smem_word_is_live(uint32_t word)
{
    return word >= (uint32_t)SMEM_WORD_LIVE << SMEM_WORD_STATE_SHIFT;
}

/* Of one that is live and was made in this process: its page is fit for another. */
static inline bool smem_word_is_native(uint32_t word)
{
    return smem_word_state(word) == SMEM_WORD_LIVE;
}

struct smem_page {
    /* In the arena's list of its class, if any is free and a lock that is required holds. */
    struct smem_page *next, **link;
    struct smem_region *region;
    uint32_t slot; /* of the region */
    uint16_t free;
    unsigned wipes; /* smem_wipe_count() when it became one of its class */
    uint64_t bits[];
};

/* A secret on a page: what a thread's cache keeps. */
struct smem_packed {
    char *secret;
    smem_word *word;
};

/* The bytes that a secret takes beside its own, in an arena with these options. */
static inline size_t smem_packed_canary(const securemem_arena_options *options)
{
    return options->canaries == SECUREMEM_OFF ? 0 : SMEM_CANARY_LEAST;
}

/* The size from which on secrets are too large to be packed in such an arena. */
static inline size_t smem_packed_below(const securemem_arena_options *options)
{
    if (options->placement != SECUREMEM_PACKED)
        return 0;
    return SMEM_LARGEST_STRIDE - smem_packed_canary(options);
}

/* Bytes of bookkeeping for a page of so many bytes, without its words; and its words. */
static inline size_t smem_page_bytes(size_t page)
{
    size_t bytes = sizeof(struct smem_page) + page / SMEM_UNIT / CHAR_BIT;
    return (bytes + SMEM_CACHE_LINE - 1) / SMEM_CACHE_LINE * SMEM_CACHE_LINE;
}

static inline size_t smem_page_word_count(size_t page)
{
    return page / SMEM_UNIT;
}

static inline size_t smem_packed_extra(size_t page)
{
    return smem_page_bytes(page) + smem_page_word_count(page) * sizeof(smem_word) +
           sizeof(smem_class);
}

static inline struct smem_page *smem_page_of(const struct smem_region *region,
                                             size_t slot)
{
    return (struct smem_page *)(void *)(region->extra +
                                        slot * smem_page_bytes(region->page));
}

/* The words of all pages of a run. */
static inline smem_word *smem_run_words(const struct smem_region *region)
{
    return (smem_word *)(void *)(region->extra +
                                 region->capacity * smem_page_bytes(region->page));
}

/* The classes of all pages of a run: side by side, for whoever frees a secret. */
static inline smem_class *smem_run_classes(const struct smem_region *region)
{
    size_t before = smem_packed_extra(region->page) - sizeof(smem_class);
    return (smem_class *)(void *)(region->extra + region->capacity * before);
}

/* The word of what begins at an address on the pages of a run. */
static inline smem_word *smem_word_at(const struct smem_region *region,
                                      const char *address)
{
    size_t offset = (size_t)(address - region->base) - region->lead_bytes;
    return smem_run_words(region) + (offset >> SMEM_UNIT_LOG2);
}

static inline unsigned smem_packed_class(const struct smem_region *region, size_t slot)
{
    return atomic_load_explicit(smem_run_classes(region) + slot, memory_order_relaxed);
}

static inline unsigned smem_page_class(const struct smem_page *page)
{
    return smem_packed_class(page->region, page->slot);
}

/* How many secrets of a class a page of the region has. */
static inline unsigned smem_page_secrets(const struct smem_region *region, unsigned class)
{
    return (unsigned)(region->page / smem_size_classes[class].stride);
}

/* The slot of the region whose page a packed secret lies on. */
static inline uint32_t smem_packed_slot(const struct smem_region *region,
                                        const char *secret)
{
    size_t offset = (size_t)(secret - region->base) - region->lead_bytes;
    return (uint32_t)(offset >> region->page_log2);
}

/* Which one of its page's secrets it is. */
static inline unsigned smem_packed_index(const struct smem_region *region,
                                         const char *secret, unsigned class)
{
    size_t offset = (size_t)(secret - region->base) - region->lead_bytes;
    size_t within = offset & (region->page - 1);
    return (unsigned)(within * smem_size_classes[class].magic >> SMEM_MAGIC_BITS);
}

/*
 * Looks a pointer into a run up, without a lock: the secret whose word is live or was,
 * with the class of its page; false where none begins there.
 */
static inline bool smem_packed_find(const struct smem_region *region, const char *pointer,
                                    struct smem_packed *out, unsigned *class)
{
    size_t offset = (size_t)(pointer - region->base) - region->lead_bytes;
    size_t slot = offset >> region->page_log2;
    if (slot >= region->capacity)
        return false;
    *class = smem_packed_class(region, slot);
    const struct smem_size_class *size = &smem_size_classes[*class];
    size_t within = offset & (region->page - 1);
    size_t index = smem_packed_index(region, pointer, *class);
    if (*class == 0 || index * size->stride != within ||
        within + size->stride > region->page)
        return false;
    *out =
        (struct smem_packed){(char *)(uintptr_t)pointer, smem_word_at(region, pointer)};
    return true;
}

/* The pattern's phase is that of the address, so that stores may overlap. */
static inline uint64_t smem_turned(uint64_t pattern, size_t offset)
{
    unsigned bits = (unsigned)offset * CHAR_BIT % 64;
    return pattern >> bits | pattern << ((64 - bits) % 64);
}

/* The first and the last 8 bytes behind a secret; they are the same where there are 8. */
static inline void smem_packed_mark(char *secret, size_t size, size_t stride)
{
    uint64_t pattern = smem_canary_for(secret), first = smem_turned(pattern, size);
    memcpy(secret + stride - sizeof pattern, &pattern, sizeof pattern);
    memcpy(secret + size, &first, sizeof first);
}

static inline bool smem_packed_intact(const char *secret, size_t size, size_t stride)
{
    uint64_t pattern = smem_canary_for(secret), first, last;
    memcpy(&first, secret + size, sizeof first);
    memcpy(&last, secret + stride - sizeof last, sizeof last);
    return (last == pattern) & (first == smem_turned(pattern, size));
}

/* A cached secret becomes live, with its canary and the word of a live one. */
static inline void smem_packed_begin(struct smem_packed packed, size_t size,
                                     size_t stride, uint32_t word, bool canary)
{
    if (__builtin_expect(canary, true))
        smem_packed_mark(packed.secret, size, stride);
    atomic_store_explicit(packed.word, word, memory_order_release);
}

/*
 * A live secret becomes cached, and the caller wipes it. False, with nothing changed, if
 * its canary is not intact.
 */
static inline bool smem_packed_end(struct smem_packed packed, size_t size, size_t stride,
                                   bool canary)
{
    if (canary && !smem_packed_intact(packed.secret, size, stride))
        return false;
    /*
     * Whoever sees a canary that is gone then sees that the secret is not live: at once, or
     * where processors reorder by one of SMEM_LOOKS.
     */
    atomic_store_explicit(packed.word, smem_word_of(SMEM_WORD_CACHED),
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return true;
}

/*
 * Whether a canary that is not intact may be so because of securemem_wipe_all, which finds
 * a secret's size and then its bytes: of one that ended meanwhile, and began again with
 * fewer, it wipes the canary too. Bytes of it are then zero, or as they were. On a page
 * that is younger than the last wipe none are.
 */
bool smem_packed_was_wiped(const struct smem_page *page, const char *secret, size_t size,
                           size_t stride);

/* With the stripe held: no secret on the page is there, and none was wiped. */
void smem_page_is_new(struct smem_page *page);

/*
 * Gives a live secret another size of the class: what goes is wiped, what comes is zero.
 * False, and done nevertheless, if its canary is broken.
 */
bool smem_packed_resize(const struct smem_page *page, struct smem_packed packed,
                        size_t size, bool canary);

/*
 * With the stripe held: the first live secret of the page whose canary is broken goes to
 * *broken, unless that is set.
 */
void smem_packed_check(const struct smem_region *region, uint32_t slot,
                       const void **broken);

/* How many secrets on the page are live; its pages need not be there. */
size_t smem_packed_count(const struct smem_region *region, uint32_t slot);

/* Calls visit with each secret of a page, whatever its word. */
void smem_page_each(const struct smem_region *region, uint32_t slot,
                    void (*visit)(void *context, struct smem_packed packed, uint32_t word,
                                  size_t stride),
                    void *context);

/* As smem_extra_clear. */
void smem_packed_clear_extra(const struct smem_region *region);

/* As smem_slot_secrets. */
void smem_packed_secrets(struct smem_region *region, uint32_t slot,
                         void (*visit)(void *context, char *start, size_t length),
                         void *context);

#endif
