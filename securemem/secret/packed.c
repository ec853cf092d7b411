/* SPDX-License-Identifier: ISC */
#include "secret/packed.h"

#include <errno.h>
#include <sodium.h>

#include "region/epoch.h"
#include "region/inherit.h"
#include "region/memlock.h"
#include "secret/random.h"

#define GROUP SMEM_BATCH_MOST /* secrets: half of the bits in one word of bits */
_Static_assert(GROUP == 32, "half of them");

static void unlist(struct smem_page *page)
{
    if (page->link == NULL)
        return;
    *page->link = page->next;
    if (page->next != NULL)
        page->next->link = page->link;
    page->link = NULL;
}

static void list(securemem_arena *arena, struct smem_page *page)
{
    if (page->link != NULL || smem_slot_lacks_lock(page->region, page->slot))
        return;
    struct smem_page **head = &arena->pages[smem_page_class(page)];
    page->next = *head;
    page->link = head;
    if (*head != NULL)
        (*head)->link = &page->next;
    *head = page;
}

/* A page of the arena without a secret, one that take gives, becomes one of the class. */
static int begin_page(securemem_arena *arena,
                      int (*take)(securemem_arena *arena, struct smem_region **region,
                                  uint32_t *slot),
                      unsigned class, struct smem_page **out)
{
    struct smem_region *region;
    uint32_t slot;
    int result = take(arena, &region, &slot);
    if (result != 0)
        return result;
    struct smem_page *page = smem_page_of(region, slot);
    unsigned count = smem_page_secrets(region, class);
    page->region = region;
    page->slot = slot;
    page->free = (uint16_t)count;
    smem_page_is_new(page);
    atomic_store_explicit(smem_run_classes(region) + slot, (uint8_t) class,
                          memory_order_relaxed);
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

/* All, or so many side by side, from any of them on. */
static uint32_t choose_bits(uint64_t *random, uint32_t bits, unsigned count)
{
    unsigned there = (unsigned)__builtin_popcount(bits);
    unsigned skipped = there > count ? smem_random_below(random, there - count + 1) : 0;
    for (; skipped > 0; skipped--)
        bits &= bits - 1;
    return bits;
}

static unsigned take_group(uint64_t *random, struct smem_page *page, char **secrets,
                           smem_word **words, unsigned count)
{
    unsigned class = smem_page_class(page);
    unsigned group = choose_group(random, page, smem_page_secrets(page->region, class));
    size_t stride = smem_size_classes[class].stride;
    char *data = smem_slot_data(page->region, page->slot);
    smem_word *first = smem_word_at(page->region, data);
    uint32_t bits = choose_bits(random, group_bits(page, group), count), left = bits;
    unsigned taken = 0;
    for (; left != 0 && taken < count; left &= left - 1, taken++) {
        size_t at = (group * GROUP + (unsigned)__builtin_ctz(left)) * stride;
        secrets[taken] = data + at;
        words[taken] = first + at / SMEM_UNIT;
        atomic_store_explicit(words[taken], smem_word_of(SMEM_WORD_CACHED),
                              memory_order_relaxed);
    }
    page->bits[group / 2] &= ~((uint64_t)(bits ^ left) << group % 2 * GROUP);
    page->free = (uint16_t)(page->free - taken);
    return taken;
}

/*
 * The rest of a page that others have secrets on shares cache lines with theirs: a thread
 * that takes many at once takes them of a page that is idle, if there is one.
 */
static bool is_rest(const struct smem_page *page, unsigned count)
{
    return count > 1 && page->free < count &&
           page->free < smem_page_secrets(page->region, smem_page_class(page));
}

int smem_packed_take(securemem_arena *arena, unsigned class, char **secrets,
                     smem_word **words, unsigned count)
{
    struct smem_page *page = arena->pages[class];
    if (page == NULL) {
        int result = begin_page(arena, smem_arena_take_page, class, &page);
        if (result != 0)
            return result;
    } else if (is_rest(page, count)) {
        (void)begin_page(arena, smem_arena_take_idle_run, class, &page);
    }
    unsigned taken = take_group(&arena->random, page, secrets, words, count);
    if (page->free == 0)
        unlist(page);
    return (int)taken;
}

static struct smem_page *page_of(const char *secret)
{
    const struct smem_region *region = smem_registry_find(secret);
    return smem_page_of(region, smem_packed_slot(region, secret));
}

/* True where the page, which may be gone then, has no other secret left. */
static bool give(securemem_arena *arena, struct smem_page *page, size_t within,
                 smem_word *word)
{
    const struct smem_size_class *class = &smem_size_classes[smem_page_class(page)];
    unsigned index = (unsigned)(within * class->magic >> SMEM_MAGIC_BITS);
    atomic_store_explicit(word, smem_word_of(SMEM_WORD_FREE), memory_order_relaxed);
    page->bits[index / 64] |= (uint64_t)1 << index % 64;
    page->free++;
    list(arena, page);
    if (page->free < smem_page_secrets(page->region, smem_page_class(page)))
        return false;
    unlist(page);
    smem_arena_give_slot(arena, page->region, page->slot);
    return true;
}

void smem_packed_give(securemem_arena *arena, char *const *secrets,
                      smem_word *const *words, unsigned count)
{
    struct smem_page *page = NULL;
    const char *start = NULL;
    for (unsigned i = 0; i < count; i++) {
        if (page == NULL || (size_t)(secrets[i] - start) >= page->region->page) {
            page = page_of(secrets[i]);
            start = smem_slot_data(page->region, page->slot);
        }
        if (give(arena, page, (size_t)(secrets[i] - start), words[i]))
            page = NULL;
    }
}

bool smem_packed_is_last(const struct smem_region *region, uint32_t slot)
{
    const struct smem_page *page = smem_page_of(region, slot);
    return page->free + 1U == smem_page_secrets(region, smem_page_class(page));
}

struct inheriting {
    struct smem_page *page;
    bool zeroed, canary;
};

static void inherit_one(void *context, struct smem_packed packed, uint32_t word,
                        size_t stride)
{
    struct inheriting *inheriting = context;
    struct smem_page *page = inheriting->page;
    unsigned class = smem_page_class(page);
    unsigned index = smem_packed_index(page->region, packed.secret, class);
    if (smem_word_is_live(word)) {
        if (inheriting->zeroed && inheriting->canary)
            smem_packed_mark(packed.secret, smem_word_size(word), stride);
        word = smem_word_live(SMEM_WORD_INHERITED, smem_word_size(word),
                              smem_word_align_log2(word));
        atomic_store_explicit(packed.word, word, memory_order_relaxed);
    } else if (smem_word_state(word) == SMEM_WORD_CACHED) {
        smem_clear(packed.secret, stride); /* its thread may have been about to */
        atomic_store_explicit(packed.word, smem_word_of(SMEM_WORD_FREE),
                              memory_order_relaxed);
        page->bits[index / 64] |= (uint64_t)1 << index % 64;
        page->free++;
    }
}

void smem_packed_inherit(struct smem_region *region, uint32_t slot)
{
    struct smem_page *page = smem_page_of(region, slot);
    bool gone = atomic_load(&region->object.state) != SMEM_REGION_LIVE;
    if (gone || smem_slot_lacks_lock(region, slot))
        unlist(page);
    if (gone) {
        page->free = 0;
        return;
    }
    struct inheriting inheriting = {.page = page,
                                    .zeroed = smem_slot_is_zeroed_here(region, slot),
                                    .canary = smem_packed_canary(&region->options) != 0};
    smem_page_each(region, slot, inherit_one, &inheriting);
    if (page->free > 0)
        list(region->owner, page);
}
