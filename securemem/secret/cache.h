/* SPDX-License-Identifier: ISC */
/*
 * What a thread keeps of its arenas: wiped secrets that it freed, for its next ones. No
 * lock and no system call is needed to take one or to give one.
 *
 *      thread ---> cache of an arena ---> bin of a size class | place | place | ...
 *             ---> cache of an arena ---> ...
 *
 * A cache knows the epoch of its arena, which changes when somebody wants the arena's
 * idle memory back, and its life, which changes when the arena ends. Whoever meets a new
 * epoch empties the cache; of a new life nothing is left to give back.
 */
#ifndef SMEM_CACHE_H
#define SMEM_CACHE_H

#include "region/registry.h"
#include "secret/arena.h"
#include "secret/page.h"
#include "secret/random.h"
#include "secret/thread_local.h"

/* What the steady state runs through, without a call. */
#define SMEM_FAST __attribute__((always_inline)) static inline

/*
 * A secret is chosen among so many that were freed before the last: those are in the
 * processor's cache still. More guarded ones would not fit: at the end of a page, all go
 * into the same few of its lines. The very last would be read where it was written a moment
 * ago, or not: a processor that has to guess loses more than it gains.
 */
#define SMEM_RECENT_LOG2 3U
#define SMEM_RECENT      (1U << SMEM_RECENT_LOG2)

/* How far back of so many, one or more, the next one is: the last only where there are few. */
static inline uint32_t smem_random_recent(uint64_t *state, uint32_t count)
{
    if (count <= SMEM_RECENT)
        return smem_random_below(state, count);
    uint64_t now = *state;
    (void)smem_random_next(state);
    return 1 + (uint32_t)(now >> (64 - SMEM_RECENT_LOG2));
}

/* Pages that a thread caches at most: the first, until it meets others at the depot. */
#define SMEM_GUARDED_FEW  16U
#define SMEM_GUARDED_MOST 64U

#define SMEM_CACHES 8U /* arenas of a thread that are cached at once */

/* Slots of one page: CACHED, with canary everywhere but where their last secret was. */
struct smem_guarded_bin {
    uint32_t count, room; /* room is lent by the arena, out of what it may keep idle */
    struct smem_slot *slots[SMEM_GUARDED_MOST];
    char *pages[SMEM_GUARDED_MOST];
};

/*
 * Each region is larger than all before it together: two have nearly all of the slots.
 */
#define SMEM_CACHE_ROWS 2U

/* A region of the arena with slots of one page: what is needed of it to free a secret. */
struct smem_cache_row {
    uintptr_t start, length; /* of its slots, with their guards */
    struct smem_slot *slots;
};

/* A run of the arena: what is needed of it to free a secret on one of its pages. */
struct smem_cache_run {
    uintptr_t start, length; /* of its pages */
    smem_word *words;
    const smem_class *classes;
};

/*
 * Packed secrets of a class, and what an operation needs of the class. They are kept in two
 * arrays: what is stored in halves and loaded as one is slow to arrive. Of a power of two in
 * bytes: the bin of a class is found without a multiplication.
 */
struct smem_bin {
    uint32_t count;
    uint32_t class, most, stride; /* most: that are kept */
    char *secrets[SMEM_KEPT_MOST];
    smem_word *words[SMEM_KEPT_MOST];
};

_Static_assert((sizeof(struct smem_bin) & (sizeof(struct smem_bin) - 1)) == 0,
               "a bin is a power of two");

struct smem_cache {
    securemem_arena *arena; /* NULL: not in use, and run and rows have no length */
    uint64_t epoch, life;
    uint64_t random; /* drawn before it is in use */
    size_t page;
    unsigned page_log2;
    uint32_t forks;      /* smem_epoch() */
    bool unlocked;       /* the arena locks nothing */
    size_t packed_below; /* the size that is too large to be packed; 0: all are guarded */
    size_t canary;       /* bytes of it behind a packed secret */
    struct smem_cache_run run; /* where the last secret was; no length: not known */
    struct smem_bin *freed;    /* that of the class of the last packed one; never NULL */
    struct smem_cache_row rows[SMEM_CACHE_ROWS]; /* the same of guarded ones */
    struct smem_bin bins[SMEM_SIZE_CLASSES];
    struct smem_guarded_bin guarded;
};

/*
 * state 1: a thread's. In use it is changed by that thread alone. A fork leaves its caches
 * zero, which are then of no arena.
 */
struct smem_thread {
    struct smem_pool_object object;
    struct smem_cache *last, *last_guarded; /* those with run and rows; never NULL */
    struct smem_cache *caches[SMEM_CACHES];
};

extern SMEM_THREAD_LOCAL struct smem_thread *smem_thread_self;

static inline unsigned smem_cache_place(const securemem_arena *arena)
{
    return (unsigned)((uintptr_t)arena / SMEM_CACHE_LINE % SMEM_CACHES);
}

/* Of a cache that is in use. */
static inline bool smem_cache_is_current(const struct smem_cache *cache)
{
    return cache->epoch ==
           atomic_load_explicit(&cache->arena->epoch, memory_order_relaxed);
}

/* The thread's cache of the arena, if it may be used as it is. */
static inline struct smem_cache *smem_cache_current(const struct smem_thread *thread,
                                                    const securemem_arena *arena)
{
    struct smem_cache *cache = thread->caches[smem_cache_place(arena)];
    return cache != NULL && arena != NULL && cache->arena == arena &&
                   smem_cache_is_current(cache)
               ? cache
               : NULL;
}

/* The chosen one of so many. */
SMEM_FAST struct smem_packed smem_bin_take(struct smem_bin *bin, uint32_t count,
                                           uint32_t chosen)
{
    struct smem_packed packed = {bin->secrets[chosen], bin->words[chosen]};
    bin->count = --count;
    bin->secrets[chosen] = bin->secrets[count];
    bin->words[chosen] = bin->words[count];
    return packed;
}

static inline void smem_bin_put(struct smem_bin *bin, uint32_t count,
                                struct smem_packed packed)
{
    bin->secrets[count] = packed.secret;
    bin->words[count] = packed.word;
    bin->count = count + 1;
}

/* The bin of a class, whose address is not to be worked out anew for each use of it. */
SMEM_FAST struct smem_bin *smem_cache_bin(struct smem_cache *cache, unsigned class)
{
    struct smem_bin *bin = &cache->bins[class];
    __asm__("" : "+r"(bin));
    return bin;
}

/* The calling thread's cache of the arena, if it may be used as it is; or NULL. */
SMEM_FAST struct smem_cache *smem_cache_here(const securemem_arena *arena)
{
    const struct smem_thread *thread = smem_thread_self;
    return thread == NULL ? NULL : smem_cache_current(thread, arena);
}

/* A new secret, of a size below packed_below, out of the cache; false if it has none. */
SMEM_FAST bool smem_cache_alloc_packed(struct smem_cache *cache, size_t size,
                                       unsigned align_log2, void **out)
{
    unsigned class = smem_class_of(size + cache->canary);
    struct smem_bin *bin = smem_cache_bin(cache, class);
    uint32_t count = bin->count;
    if (align_log2 > SMEM_UNIT_LOG2 || count == 0)
        return false;
    uint32_t chosen = count - 1 - smem_random_recent(&cache->random, count);
    struct smem_packed packed = smem_bin_take(bin, count, chosen);
    smem_packed_begin(packed, size, bin->stride, smem_word_live(SMEM_WORD_LIVE, size, 0),
                      cache->canary != 0);
    *out = packed.secret;
    return true;
}

/*
 * The cache that knows the run where this thread freed its last packed secret; false if
 * this one, of that arena (NULL: of any), does not lie there too.
 */
SMEM_FAST bool smem_cache_find(const securemem_arena *arena, const void *secret,
                               struct smem_cache **out)
{
    const struct smem_thread *thread = smem_thread_self;
    if (thread == NULL)
        return false;
    struct smem_cache *cache = *out = thread->last;
    uintptr_t offset = (uintptr_t)secret - cache->run.start;
    bool here = offset < cache->run.length && offset % SMEM_UNIT == 0 &&
                (arena == NULL || arena == cache->arena);
    return here && smem_cache_is_current(cache);
}

/*
 * The bin of the class of what is freed, most often that of the one before: a processor goes
 * on with it, and with the lines of the secret, before it has the page's class. That is read
 * rather than a class in the word, which is seldom in the processor's cache.
 */
SMEM_FAST struct smem_bin *smem_cache_bin_freed(struct smem_cache *cache, unsigned class)
{
    struct smem_bin *bin = cache->freed;
    if (bin->class != class)
        cache->freed = bin = smem_cache_bin(cache, class);
    return bin;
}

/*
 * Frees a packed secret, on a page of the class, into the cache. False, with nothing changed,
 * if not all is well.
 */
SMEM_FAST bool smem_cache_free_packed(struct smem_cache *cache, struct smem_packed packed,
                                      unsigned class)
{
    uint32_t word = atomic_load_explicit(packed.word, memory_order_relaxed);
    struct smem_bin *bin = smem_cache_bin_freed(cache, class);
    uint32_t count = bin->count, stride = bin->stride;
    if (!smem_word_is_native(word) || count >= bin->most ||
        !smem_packed_end(packed, smem_word_size(word), stride, cache->canary != 0))
        return false;
    smem_bin_put(bin, count, packed);
    smem_clear(packed.secret, stride); /* last: a jump */
    return true;
}

/* The same of a secret of the run that the cache knows. */
SMEM_FAST bool smem_cache_free_here(struct smem_cache *cache, void *secret)
{
    const struct smem_cache_run *run = &cache->run;
    uintptr_t offset = (uintptr_t)secret - run->start;
    struct smem_packed packed = {secret, run->words + (offset >> SMEM_UNIT_LOG2)};
    unsigned class = atomic_load_explicit(run->classes + (offset >> cache->page_log2),
                                          memory_order_relaxed);
    return smem_cache_free_packed(cache, packed, class);
}

/*
 * Frees what lies elsewhere than the last ones did, of that arena (NULL: of any), in the
 * same way.
 */
bool smem_cache_free_elsewhere(const securemem_arena *arena, void *secret);

/* The region becomes the row where this thread looks first; NULL where it is none. */
const struct smem_cache_row *smem_cache_remember_row(struct smem_cache *cache,
                                                     const struct smem_region *region);

/*
 * Before the stripe of the arena is taken: gives the thread a place to cache the arena's
 * secrets in, if it can have one. The arena need not be one, and one with a door has none
 * (door.h).
 */
void smem_cache_prepare(securemem_arena *arena);

/* The same for the arena of a secret, if it is one. */
void smem_cache_prepare_for(const void *secret);

/*
 * With the stripe held: a free packed secret of the class, and more of them for the
 * thread's cache. 0 or a negative errno, recorded.
 */
int smem_cache_take(securemem_arena *arena, unsigned class, struct smem_packed *out);

/* With the stripe held: the thread's cache of the arena, begun where it is not; or NULL. */
struct smem_cache *smem_cache_entered(securemem_arena *arena);

/* With the stripe held: takes idle slots of one page into the thread's cache. */
void smem_cache_fill_guarded(securemem_arena *arena);

/*
 * With the stripe held: a guarded secret out of what other threads left in the arena's depot
 * (*broken: smem_cache_begin_moved); and frees a LIVE one into the cache, leaving half of a
 * full one there. NULL, or false, with nothing changed, where that is not possible.
 */
void *smem_cache_reload_guarded(securemem_arena *arena, size_t size, unsigned align_log2,
                                const void **broken);
bool smem_cache_unload_guarded(struct smem_region *region, void *secret);

/* With the stripe held: these go back to the arena; the first broken canary to *broken. */
void smem_cache_empty_guarded(struct smem_cache *cache, const void **broken);
void smem_cache_empty_depot(securemem_arena *arena, const void **broken);

/* With the stripe held: a cached secret goes into the thread's cache, or to its page. */
void smem_cache_give(securemem_arena *arena, unsigned class, struct smem_packed packed);

/* With the stripe held: whether this thread, or the depot, has anything of the arena. */
bool smem_cache_holds(const securemem_arena *arena);

/*
 * With the stripe held: what this thread and the depot have of it goes back; other threads
 * follow when they next use it. The first broken canary goes to *broken.
 */
void smem_cache_recall(securemem_arena *arena, const void **broken);

/* In a forked child, with no lock held: no thread caches anything. */
void smem_cache_inherit(void);

#endif
