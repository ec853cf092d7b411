/* SPDX-License-Identifier: ISC */
#include "secret/page.h"

#include "region/wipe.h"

/*
 * Whether each of 8 bytes is that of the pattern, or zero. Each is read once: it may go
 * from the one to the other at this moment.
 */
SMEM_LOOKS_AGAIN static bool is_partly(const volatile char *bytes, uint64_t pattern)
{
    for (unsigned i = 0; i < sizeof pattern; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte != 0 && byte != (pattern >> i * CHAR_BIT & UCHAR_MAX))
            return false;
    }
    return true;
}

void smem_page_is_new(struct smem_page *page)
{
    page->wipes = smem_wipe_count_of_new();
}

bool smem_packed_was_wiped(const struct smem_page *page, const char *secret, size_t size,
                           size_t stride)
{
    if (smem_wipe_count() == page->wipes)
        return false;
    uint64_t pattern = smem_canary_for(secret);
    return is_partly(secret + stride - sizeof pattern, pattern) &&
           is_partly(secret + size, smem_turned(pattern, size));
}

bool smem_packed_resize(const struct smem_page *page, struct smem_packed packed,
                        size_t size, bool canary)
{
    size_t stride = smem_size_classes[smem_page_class(page)].stride;
    uint32_t word = atomic_load_explicit(packed.word, memory_order_relaxed);
    size_t old_size = smem_word_size(word), kept = old_size < size ? old_size : size;
    bool intact = !canary || smem_packed_intact(packed.secret, old_size, stride) ||
                  smem_packed_was_wiped(page, packed.secret, old_size, stride);
    memset(packed.secret + kept, 0, stride - kept);
    __asm__ volatile("" : : "r"(packed.secret) : "memory");
    if (canary)
        smem_packed_mark(packed.secret, size, stride);
    word = smem_word_live(smem_word_state(word), size, smem_word_align_log2(word));
    atomic_store_explicit(packed.word, word, memory_order_relaxed);
    return intact;
}

void smem_page_each(const struct smem_region *region, uint32_t slot,
                    void (*visit)(void *context, struct smem_packed packed, uint32_t word,
                                  size_t stride),
                    void *context)
{
    unsigned class = smem_packed_class(region, slot);
    if (class == 0)
        return; /* on its way to its first class, in another thread */
    size_t stride = smem_size_classes[class].stride;
    for (unsigned i = 0; i < smem_page_secrets(region, class); i++) {
        char *secret = smem_slot_data(region, slot) + i * stride;
        struct smem_packed packed = {secret, smem_word_at(region, secret)};
        uint32_t word = atomic_load_explicit(packed.word, memory_order_acquire);
        visit(context, packed, word, stride);
    }
}

struct checking {
    const struct smem_page *page;
    bool canary;
    const void **broken;
};

/* As smem_packed_intact, of bytes that another thread may be writing. */
SMEM_LOOKS_AGAIN static bool looks_intact(const char *secret, size_t size, size_t stride)
{
    uint64_t pattern = smem_canary_for(secret), first = smem_turned(pattern, size);
    const volatile char *after = secret + size, *end = secret + stride - sizeof pattern;
    uint64_t differ = 0;
    for (unsigned i = 0; i < sizeof pattern; i++) {
        differ |= (unsigned char)after[i] ^ (first >> i * CHAR_BIT & UCHAR_MAX);
        differ |= (unsigned char)end[i] ^ (pattern >> i * CHAR_BIT & UCHAR_MAX);
    }
    return differ == 0;
}

/*
 * Its thread may free the secret meanwhile, which looks at the canary, and begin another
 * there: where the word is another afterwards, this was not the secret's. One of the same
 * size has the same word: it is looked at again.
 */
static bool is_broken(const struct smem_page *page, struct smem_packed packed,
                      uint32_t word, size_t stride)
{
    size_t size = smem_word_size(word);
    for (unsigned i = 0; i < SMEM_LOOKS; i++) {
        if (looks_intact(packed.secret, size, stride) ||
            smem_packed_was_wiped(page, packed.secret, size, stride))
            return false;
        /* Adding nothing keeps the looks before it, and is rarely come to. */
        if (atomic_fetch_add_explicit(packed.word, 0, memory_order_acq_rel) != word)
            return false;
    }
    return true;
}

static void check_one(void *context, struct smem_packed packed, uint32_t word,
                      size_t stride)
{
    const struct checking *checking = context;
    if (smem_word_is_live(word) && checking->canary && *checking->broken == NULL &&
        is_broken(checking->page, packed, word, stride))
        *checking->broken = packed.secret;
}

void smem_packed_check(const struct smem_region *region, uint32_t slot,
                       const void **broken)
{
    struct checking checking = {smem_page_of(region, slot),
                                smem_packed_canary(&region->options) != 0, broken};
    smem_page_each(region, slot, check_one, &checking);
}

static void count_one(void *context, struct smem_packed packed, uint32_t word,
                      size_t stride)
{
    (void)packed;
    (void)stride;
    size_t *live = context;
    *live += smem_word_is_live(word);
}

size_t smem_packed_count(const struct smem_region *region, uint32_t slot)
{
    size_t live = 0;
    smem_page_each(region, slot, count_one, &live);
    return live;
}

struct showing {
    void (*visit)(void *context, char *start, size_t length);
    void *context;
};

static void show_one(void *context, struct smem_packed packed, uint32_t word,
                     size_t stride)
{
    const struct showing *showing = context;
    if (smem_word_is_live(word))
        showing->visit(showing->context, packed.secret, smem_word_size(word));
    else if (smem_word_state(word) == SMEM_WORD_CACHED) /* perhaps not wiped yet */
        showing->visit(showing->context, packed.secret, stride);
}

void smem_packed_clear_extra(const struct smem_region *region)
{
    size_t words = region->used * smem_page_word_count(region->page);
    memset(region->extra, 0, region->used * smem_page_bytes(region->page));
    memset(smem_run_words(region), 0, words * sizeof(smem_word));
    memset(smem_run_classes(region), 0, region->used * sizeof(smem_class));
}

void smem_packed_secrets(struct smem_region *region, uint32_t slot,
                         void (*visit)(void *context, char *start, size_t length),
                         void *context)
{
    smem_page_each(region, slot, show_one, &(struct showing){visit, context});
}
