/* SPDX-License-Identifier: ISC */
#include "secret/packed.h"

#include <errno.h>
#include <sodium.h>

#include "region/epoch.h"
#include "region/inherit.h"
#include "secret/random.h"

#define GROUP 32U /* words to a cache line: half of the bits in one word of bits */

static unsigned secrets_on(const struct smem_region *region, unsigned class)
{
    return (unsigned)(region->page / smem_size_classes[class].stride);
}

static unsigned class_of(const struct smem_page *page)
{
    return atomic_load_explicit(&page->class, memory_order_relaxed);
}

static void unlist(struct smem_page *page)
{
    *page->link = page->next;
    if (page->next != NULL)
        page->next->link = page->link;
    page->link = NULL;
}

static void list(securemem_arena *arena, struct smem_page *page)
{
    struct smem_page **head = &arena->pages[class_of(page)];
    page->next = *head;
    page->link = head;
    if (*head != NULL)
        (*head)->link = &page->next;
    *head = page;
}

/* A page of the arena without a secret becomes one of the class. */
static int begin_page(securemem_arena *arena, unsigned class, struct smem_page **out)
{
    struct smem_region *region;
    uint32_t slot;
    int result = smem_arena_take_page(arena, &region, &slot);
    if (result != 0)
        return result;
    struct smem_page *page = smem_page_of(region, slot);
    unsigned count = secrets_on(region, class);
    page->region = region;
    page->slot = slot;
    page->free = (uint16_t)count;
    atomic_store_explicit(&page->class, (uint8_t) class, memory_order_relaxed);
    for (unsigned i = 0; i < region->page / SMEM_UNIT / 64; i++) {
        unsigned left = count > i * 64 ? count - i * 64 : 0;
        page->bits[i] = left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
    }
    list(arena, page);
    *out = page;
    return 0;
}

/* The free bits of a group; groups have them to themselves. */
static uint32_t group_bits(const struct smem_page *page, unsigned group)
{
    return (uint32_t)(page->bits[group / 2] >> (group % 2 * GROUP));
}

/* A group with free secrets, from a random one on. */
static unsigned choose_group(uint64_t *random, const struct smem_page *page,
                             unsigned count)
{
    unsigned groups = (count + GROUP - 1) / GROUP;
    unsigned group = smem_random_below(random, groups);
    while (group_bits(page, group) == 0)
        group = group + 1 == groups ? 0 : group + 1;
    return group;
}

static struct smem_packed packed_at(const struct smem_page *page, unsigned index)
{
    struct smem_region *region = page->region;
    size_t stride = smem_size_classes[class_of(page)].stride;
    return (struct smem_packed){
        smem_slot_data(region, page->slot) + index * stride,
        &smem_page_words(region, smem_page_of(region, page->slot))[index]};
}

static unsigned take_group(struct smem_page *page, unsigned group,
                           struct smem_packed *out, unsigned count)
{
    unsigned taken = 0;
    for (uint32_t bits = group_bits(page, group); bits != 0 && taken < count;
         bits &= bits - 1) {
        unsigned bit = (unsigned)__builtin_ctz(bits);
        page->bits[group / 2] &= ~((uint64_t)1 << (group % 2 * GROUP + bit));
        out[taken] = packed_at(page, group * GROUP + bit);
        atomic_store_explicit(out[taken].word, smem_word_of(SMEM_WORD_CACHED, 0, 0),
                              memory_order_relaxed);
        taken++;
    }
    page->free = (uint16_t)(page->free - taken);
    return taken;
}

int smem_packed_take(securemem_arena *arena, unsigned class, struct smem_packed *out,
                     unsigned count)
{
    struct smem_page *page = arena->pages[class];
    if (page == NULL) {
        int result = begin_page(arena, class, &page);
        if (result != 0)
            return result;
    }
    unsigned group = choose_group(&arena->random, page, secrets_on(page->region, class));
    unsigned taken = take_group(page, group, out, count);
    if (page->free == 0)
        unlist(page);
    return (int)taken;
}

void smem_packed_give(securemem_arena *arena, struct smem_packed packed)
{
    struct smem_region *region = smem_registry_find(packed.secret);
    struct smem_page *page =
        smem_page_of(region, smem_packed_slot(region, packed.secret));
    size_t index = (size_t)(packed.word - smem_page_words(region, page));
    atomic_store_explicit(packed.word, smem_word_of(SMEM_WORD_FREE, 0, 0),
                          memory_order_relaxed);
    page->bits[index / 64] |= (uint64_t)1 << index % 64;
    if (page->free++ == 0)
        list(arena, page);
    if (page->free == secrets_on(region, class_of(page))) {
        unlist(page);
        smem_arena_give_slot(arena, region, page->slot);
    }
}

bool smem_packed_resize(struct smem_packed packed, unsigned class, size_t size,
                        bool canary)
{
    size_t stride = smem_size_classes[class].stride;
    uint16_t word = atomic_load_explicit(packed.word, memory_order_relaxed);
    size_t old_size = smem_word_size(word), kept = old_size < size ? old_size : size;
    bool intact = !canary || smem_packed_intact(packed.secret, old_size, stride);
    memset(packed.secret + kept, 0, stride - kept);
    __asm__ volatile("" : : "r"(packed.secret) : "memory");
    if (canary)
        smem_packed_mark(packed.secret, size, stride);
    word = smem_word_of(smem_word_state(word), size, smem_word_align_log2(word));
    atomic_store_explicit(packed.word, word, memory_order_relaxed);
    return intact;
}

/* Calls visit with each secret of a page whose word is in one of the states. */
static void each_on(const struct smem_region *region, uint32_t slot,
                    void (*visit)(void *context, struct smem_packed packed, uint16_t word,
                                  size_t stride),
                    void *context)
{
    struct smem_page *page = smem_page_of(region, slot);
    unsigned class = class_of(page);
    if (class == 0)
        return; /* on its way to its first class, in another thread */
    size_t stride = smem_size_classes[class].stride;
    smem_word *words = smem_page_words(region, page);
    for (unsigned i = 0; i < secrets_on(region, class); i++) {
        uint16_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
        struct smem_packed packed = {smem_slot_data(region, slot) + i * stride,
                                     &words[i]};
        visit(context, packed, word, stride);
    }
}

struct checking {
    bool canary;
    const void **broken;
};

static void check_one(void *context, struct smem_packed packed, uint16_t word,
                      size_t stride)
{
    const struct checking *checking = context;
    if (smem_word_is_live(word) && checking->canary && *checking->broken == NULL &&
        !smem_packed_intact(packed.secret, smem_word_size(word), stride))
        *checking->broken = packed.secret;
}

void smem_packed_check(const struct smem_region *region, uint32_t slot,
                       const void **broken)
{
    struct checking checking = {smem_packed_canary(&region->options) != 0, broken};
    each_on(region, slot, check_one, &checking);
}

static void count_one(void *context, struct smem_packed packed, uint16_t word,
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
    each_on(region, slot, count_one, &live);
    return live;
}

struct showing {
    void (*visit)(void *context, char *start, size_t length);
    void *context;
};

static void show_one(void *context, struct smem_packed packed, uint16_t word,
                     size_t stride)
{
    (void)stride;
    const struct showing *showing = context;
    if (smem_word_is_live(word))
        showing->visit(showing->context, packed.secret, smem_word_size(word));
}

void smem_packed_secrets(struct smem_region *region, uint32_t slot,
                         void (*visit)(void *context, char *start, size_t length),
                         void *context)
{
    each_on(region, slot, show_one, &(struct showing){visit, context});
}

struct inheriting {
    struct smem_page *page;
    const smem_word *words;
    bool zeroed, canary;
};

static void inherit_one(void *context, struct smem_packed packed, uint16_t word,
                        size_t stride)
{
    struct inheriting *inheriting = context;
    size_t index = (size_t)(packed.word - inheriting->words);
    if (smem_word_is_live(word)) {
        if (inheriting->zeroed && inheriting->canary)
            smem_packed_mark(packed.secret, smem_word_size(word), stride);
        word = smem_word_of(SMEM_WORD_INHERITED, smem_word_size(word),
                            smem_word_align_log2(word));
        atomic_store_explicit(packed.word, word, memory_order_relaxed);
    } else if (smem_word_state(word) == SMEM_WORD_CACHED) {
        smem_packed_wipe(packed.secret, stride); /* its thread may have been about to */
        atomic_store_explicit(packed.word, smem_word_of(SMEM_WORD_FREE, 0, 0),
                              memory_order_relaxed);
        inheriting->page->bits[index / 64] |= (uint64_t)1 << index % 64;
        inheriting->page->free++;
    }
}

void smem_packed_inherit(struct smem_region *region, uint32_t slot)
{
    struct smem_page *page = smem_page_of(region, slot);
    bool listed = page->free > 0;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE) {
        if (listed)
            unlist(page);
        page->free = 0;
        return;
    }
    struct inheriting inheriting = {.page = page,
                                    .words = smem_page_words(region, page),
                                    .zeroed = smem_slot_was_zeroed(region, slot),
                                    .canary = smem_packed_canary(&region->options) != 0};
    each_on(region, slot, inherit_one, &inheriting);
    if (!listed && page->free > 0)
        list(region->owner, page);
}
