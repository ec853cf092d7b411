/* SPDX-License-Identifier: ISC */
/*
 * Packed secrets: many of one size class to a page, pages side by side in a run.
 *
 *      run    |guard| page | page | page | ...  not committed, or guard |
 *      page   |secret canary|secret canary|secret canary| left over |
 *
 * The bookkeeping of a page lies in its region's extra bytes:
 *
 *      struct smem_page | free bits, one a secret | words, two bytes a secret |
 *
 * A word says whether its secret is free, cached by a thread, or live, and then its size.
 * Words are handed to threads by whole cache lines.
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
#include "secret/sizes.h"

/* Up to so many bytes a loop is faster than a call. */
#define SMEM_WIPE_BY_UNITS 64U

typedef _Atomic uint16_t smem_word;

enum smem_word_state {
    SMEM_WORD_FREE = 0,
    SMEM_WORD_CACHED,
    SMEM_WORD_LIVE,
    SMEM_WORD_INHERITED /* live, and older than the process */
};

#define SMEM_WORD_SIZE_BITS  11U
#define SMEM_WORD_ALIGN_BITS 3U

static inline uint16_t smem_word_of(enum smem_word_state state, size_t size,
                                    unsigned align_log2)
{
    unsigned align =
        align_log2 < SMEM_UNIT_LOG2 ? 0 : align_log2 - (unsigned)SMEM_UNIT_LOG2;
    return (uint16_t)((unsigned)state << (SMEM_WORD_SIZE_BITS + SMEM_WORD_ALIGN_BITS) |
                      align << SMEM_WORD_SIZE_BITS | (unsigned)size);
}

static inline enum smem_word_state smem_word_state(uint16_t word)
{
    return (enum smem_word_state)(word >> (SMEM_WORD_SIZE_BITS + SMEM_WORD_ALIGN_BITS));
}

static inline size_t smem_word_size(uint16_t word)
{
    return word & (((size_t)1 << SMEM_WORD_SIZE_BITS) - 1);
}

static inline unsigned smem_word_align_log2(uint16_t word)
{
    return (unsigned)SMEM_UNIT_LOG2 +
           (word >> SMEM_WORD_SIZE_BITS & ((1U << SMEM_WORD_ALIGN_BITS) - 1));
}

static inline bool smem_word_is_live(uint16_t word)
{
    return smem_word_state(word) >= SMEM_WORD_LIVE;
}

struct smem_page {
    struct smem_page *next, **link; /* in the arena's list of its class, if any is free */
    struct smem_region *region;
    uint32_t slot; /* of the region */
    uint16_t free;
    _Atomic uint8_t class; /* of the secrets on it, the last ones if it has none */
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

static inline struct smem_page *smem_page_of(const struct smem_region *region,
                                             size_t slot)
{
    return (struct smem_page *)(void *)(region->extra + slot * region->extra_bytes);
}

static inline unsigned smem_page_class(const struct smem_page *page)
{
    return atomic_load_explicit(&page->class, memory_order_relaxed);
}

static inline unsigned smem_packed_class(const struct smem_region *region, size_t slot)
{
    return smem_page_class(smem_page_of(region, slot));
}

/* How many secrets of a class a page of the region has. */
static inline unsigned smem_page_secrets(const struct smem_region *region, unsigned class)
{
    return (unsigned)(region->page / smem_size_classes[class].stride);
}

/* Words begin on a cache line of their own. */
static inline size_t smem_words_offset(size_t page)
{
    size_t before = sizeof(struct smem_page) + page / SMEM_UNIT / CHAR_BIT;
    return (before + SMEM_CACHE_LINE - 1) / SMEM_CACHE_LINE * SMEM_CACHE_LINE;
}

/* Bytes of bookkeeping for a page of so many bytes. */
static inline size_t smem_packed_extra(size_t page)
{
    return smem_words_offset(page) + page / SMEM_UNIT * sizeof(smem_word);
}

static inline smem_word *smem_page_words(const struct smem_region *region,
                                         struct smem_page *page)
{
    return (smem_word *)(void *)((char *)page + smem_words_offset(region->page));
}

/* The slot of the region whose page a packed secret lies on. */
static inline uint32_t smem_packed_slot(const struct smem_region *region,
                                        const char *secret)
{
    size_t offset = (size_t)(secret - region->base) - region->lead_bytes;
    return (uint32_t)(offset >> region->page_log2);
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
    struct smem_page *page = smem_page_of(region, slot);
    *class = atomic_load_explicit(&page->class, memory_order_relaxed);
    const struct smem_size_class *size = &smem_size_classes[*class];
    size_t within = offset & (region->page - 1);
    size_t index = within * size->magic >> SMEM_MAGIC_BITS;
    if (*class == 0 || index * size->stride != within ||
        within + size->stride > region->page)
        return false;
    *out = (struct smem_packed){(char *)(uintptr_t)pointer,
                                &smem_page_words(region, page)[index]};
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

/* Direct stores, which the compiler may not leave out; length is a multiple of 16. */
static inline void smem_packed_wipe(char *start, size_t length)
{
    typedef uint64_t unit __attribute__((vector_size(16)));
    if (length > SMEM_WIPE_BY_UNITS) {
        memset(start, 0, length);
        __asm__ volatile("" : : "r"(start) : "memory");
        return;
    }
    for (size_t at = 0; at < length; at += sizeof(unit))
        *(volatile unit *)(void *)(start + at) = (unit){0};
}

/* A cached secret becomes live, with its canary. */
static inline void smem_packed_begin(struct smem_packed packed, size_t size,
                                     unsigned align_log2, unsigned class, bool canary)
{
    if (canary)
        smem_packed_mark(packed.secret, size, smem_size_classes[class].stride);
    atomic_store_explicit(packed.word, smem_word_of(SMEM_WORD_LIVE, size, align_log2),
                          memory_order_release);
}

/* A live secret becomes cached, wiped. False, with nothing changed, if its canary is not. */
static inline bool smem_packed_end(struct smem_packed packed, size_t size, unsigned class,
                                   bool canary)
{
    size_t stride = smem_size_classes[class].stride;
    if (canary && !smem_packed_intact(packed.secret, size, stride))
        return false;
    /*
     * Whoever sees a canary that is gone then sees that the secret is not live: at once, or
     * where processors reorder by one of SMEM_LOOKS.
     */
    atomic_store_explicit(packed.word, smem_word_of(SMEM_WORD_CACHED, 0, 0),
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    smem_packed_wipe(packed.secret, stride);
    return true;
}

/*
 * Whether a canary that is not intact may be so because of securemem_wipe_all, which finds
 * a secret's size and then its bytes: of one that ended meanwhile, and began again with
 * fewer, it wipes the canary too. Bytes of it are then zero, or as they were.
 */
bool smem_packed_was_wiped(const char *secret, size_t size, size_t stride);

/*
 * Gives a live secret another size of the class: what goes is wiped, what comes is zero.
 * False, and done nevertheless, if its canary is broken.
 */
bool smem_packed_resize(struct smem_packed packed, unsigned class, size_t size,
                        bool canary);

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
                    void (*visit)(void *context, struct smem_packed packed, uint16_t word,
                                  size_t stride),
                    void *context);

/* As smem_slot_secrets. */
void smem_packed_secrets(struct smem_region *region, uint32_t slot,
                         void (*visit)(void *context, char *start, size_t length),
                         void *context);

#endif
