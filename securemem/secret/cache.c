/* SPDX-License-Identifier: ISC */
#include "secret/cache.h"

#include "kernel/kernel.h"
#include "region/budget.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "region/metadata.h"
#include "region/registry.h"
#include "region/thread_key.h"
#include "secret/account.h"
#include "secret/cache_guarded.h"
#include "secret/misuse.h"
#include "secret/packed.h"
#include "secret/random.h"
#include "secret/thread_local.h"

static struct smem_pool pool = {.object_size = sizeof(struct smem_thread),
                                .lasting = sizeof(struct smem_thread)};

/* The last cache of a thread that has none: its run has no length. */
static struct smem_cache none;

SMEM_THREAD_LOCAL struct smem_thread *smem_thread_self;
static SMEM_THREAD_LOCAL bool ended; /* its destructor has run */

static struct smem_thread_key key;

/* The run becomes the one that the thread looks at first. */
static void remember_run(struct smem_thread *thread, struct smem_cache *cache,
                         const struct smem_region *region)
{
    cache->run = (struct smem_cache_run){
        .start = (uintptr_t)region->base + region->lead_bytes,
        .length = region->capacity * region->page,
        .words = smem_run_words(region),
        .classes = smem_run_classes(region),
    };
    thread->last = cache;
}

bool smem_cache_free_elsewhere(const securemem_arena *arena, void *secret)
{
    struct smem_thread *thread = smem_thread_self;
    if (thread == NULL)
        return false;
    struct smem_region *region = smem_registry_find(secret);
    if (region == NULL || (arena != NULL && arena != region->owner) ||
        atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return false;
    struct smem_cache *cache = smem_cache_current(thread, region->owner);
    if (cache == NULL)
        return false;
    if (region->kind != SMEM_RUN) {
        if (smem_cache_remember_row(cache, region) == NULL)
            return false;
        /* NULL: in front of the first slot */
        const struct smem_cache_row *row = smem_cache_row(cache, secret);
        return row != NULL &&
               smem_cache_free_guarded(smem_cache_on_row(cache, row, secret));
    }
    struct smem_packed packed;
    unsigned class;
    if (!smem_packed_find(region, secret, &packed, &class))
        return false; /* also a guard, which the run has no page for */
    remember_run(thread, cache, region);
    return smem_cache_free_packed(cache, packed, class);
}

/* With the stripe held: gives back all but the last keep secrets of the class. */
static void empty_class(struct smem_cache *cache, unsigned class, uint32_t keep)
{
    struct smem_bin *bin = &cache->bins[class];
    if (bin->count <= keep)
        return;
    char **secrets = bin->secrets;
    smem_word **words = bin->words;
    uint32_t gone = bin->count - keep;
    smem_packed_give(cache->arena, secrets, words, gone);
    memmove(secrets, secrets + gone, keep * sizeof *secrets);
    memmove(words, words + gone, keep * sizeof *words);
    bin->count = keep;
}

/* With the stripe held: gives back what is cached of a living arena. */
static void empty(struct smem_cache *cache, const void **broken)
{
    for (unsigned i = 0; i < SMEM_SIZE_CLASSES; i++)
        empty_class(cache, i, 0);
    smem_cache_empty_guarded(cache, broken);
}

/* What it had is gone, or was given back. */
static void forget(struct smem_cache *cache)
{
    for (unsigned i = 0; i < SMEM_SIZE_CLASSES; i++)
        cache->bins[i].count = 0;
    cache->run.length = 0;
    memset(cache->rows, 0, sizeof cache->rows);
    cache->guarded.count = cache->guarded.room = 0;
    cache->arena = NULL;
}

/* Gives up the cache's arena, which has a stripe of its own; no other is held. */
static void leave(struct smem_cache *cache)
{
    const void *broken = NULL;
    securemem_arena *arena = cache->arena;
    if (arena == NULL)
        return;
    unsigned stripe = smem_stripe_of(&arena->object);
    smem_lock_stripe(stripe);
    if (cache->life == atomic_load(&arena->life)) {
        empty(cache, &broken);
        arena->lent_bytes -= cache->guarded.room * cache->page;
    }
    forget(cache);
    smem_unlock_stripe(stripe);
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
}

static void end_thread(void *object)
{
    struct smem_thread *thread = object;
    ended = true;
    smem_thread_self = NULL;
    for (unsigned i = 0; i < SMEM_CACHES; i++)
        if (thread->caches[i] != NULL)
            leave(thread->caches[i]);
    smem_pool_give(&pool, thread);
}

static struct smem_thread *begin_thread(void)
{
    void *object;
    if (ended || smem_pool_take(&pool, &object) != 0)
        return NULL;
    struct smem_thread *thread = object;
    thread->last = thread->last_guarded = &none;
    if (!smem_thread_key_set(&key, end_thread, thread)) {
        smem_pool_give(&pool, thread);
        return NULL;
    }
    atomic_store(&thread->object.state, 1);
    smem_thread_self = thread;
    return thread;
}

/* A thread without a cache goes on without one: what refuses it is no error. */
void smem_cache_prepare(securemem_arena *arena)
{
    if (smem_arena_is_live(arena) && smem_door_is_there(&arena->door))
        return;
    smem_misuse_hold();
    smem_error_hold();
    struct smem_thread *thread =
        smem_thread_self != NULL ? smem_thread_self : begin_thread();
    if (thread != NULL) {
        struct smem_cache **cache = &thread->caches[smem_cache_place(arena)];
        void *memory;
        if (*cache == NULL && smem_metadata_map_unforked(sizeof **cache, &memory) == 0)
            *cache = memory;
        if (*cache != NULL && smem_cache_current(thread, arena) == NULL) {
            leave(*cache);
            /* Drawn: who sees the order in one arena is not to know it in the next. */
            (*cache)->random = smem_random_seed();
        }
    }
    smem_error_resume();
    smem_misuse_resume();
}

static void lend(securemem_arena *arena, struct smem_cache *cache)
{
    size_t idle = arena->options.idle;
    size_t left = idle > arena->lent_bytes ? idle - arena->lent_bytes : 0;
    /* What is reserved is for all threads: nobody keeps pages to himself. */
    size_t room = arena->reserved_bytes > 0 ? 0 : left / cache->page;
    cache->guarded.room = room > SMEM_GUARDED_FEW ? SMEM_GUARDED_FEW : (uint32_t)room;
    arena->lent_bytes += cache->guarded.room * cache->page;
}

static void prepare_bins(struct smem_cache *cache)
{
    cache->freed = cache->bins;
    for (unsigned i = 0; i < SMEM_SIZE_CLASSES; i++) {
        struct smem_bin *bin = &cache->bins[i];
        bin->class = i;
        bin->stride = smem_size_classes[i].stride;
        bin->most = smem_class_kept(i);
    }
}

struct smem_cache *smem_cache_entered(securemem_arena *arena)
{
    struct smem_cache *cache =
        smem_thread_self == NULL || smem_door_is_there(&arena->door)
            ? NULL
            : smem_thread_self->caches[smem_cache_place(arena)];
    if (cache == NULL)
        return NULL;
    if (cache->arena == NULL) {
        cache->life = atomic_load(&arena->life);
        cache->epoch = atomic_load(&arena->epoch);
        cache->page = smem_kernel_page_size();
        cache->page_log2 = (unsigned)__builtin_ctzl(cache->page);
        cache->forks = smem_epoch();
        cache->unlocked = arena->options.lock == SECUREMEM_OFF;
        cache->canary = smem_packed_canary(&arena->options);
        cache->packed_below = smem_packed_below(&arena->options);
        prepare_bins(cache);
        lend(arena, cache);
        cache->arena = arena;
    }
    return smem_cache_current(smem_thread_self, arena);
}

int smem_cache_take(securemem_arena *arena, unsigned class, struct smem_packed *out)
{
    struct smem_cache *cache = smem_cache_entered(arena);
    if (cache == NULL) {
        int taken = smem_packed_take(arena, class, &out->secret, &out->word, 1);
        return taken < 0 ? taken : 0;
    }
    struct smem_bin *bin = &cache->bins[class];
    if (bin->count == 0) {
        int taken = smem_packed_take(arena, class, bin->secrets, bin->words,
                                     smem_size_classes[class].batch);
        if (taken < 0)
            return taken;
        bin->count = (uint32_t)taken;
    }
    uint32_t chosen = smem_random_below(&cache->random, bin->count);
    *out = smem_bin_take(bin, bin->count, chosen);
    return 0;
}

void smem_cache_give(securemem_arena *arena, unsigned class, struct smem_packed packed)
{
    struct smem_cache *cache = smem_cache_entered(arena);
    if (cache == NULL) {
        smem_packed_give(arena, &packed.secret, &packed.word, 1);
        return;
    }
    struct smem_bin *bin = &cache->bins[class];
    if (bin->count >= bin->most)
        empty_class(cache, class, smem_size_classes[class].batch);
    smem_bin_put(bin, bin->count, packed);
}

/* With the stripe held: what the thread has of the living arena, out of date or not. */
static struct smem_cache *own(const securemem_arena *arena)
{
    struct smem_cache *cache = smem_thread_self == NULL
                                   ? NULL
                                   : smem_thread_self->caches[smem_cache_place(arena)];
    return cache != NULL && cache->arena == arena &&
                   cache->life == atomic_load(&arena->life)
               ? cache
               : NULL;
}

bool smem_cache_holds(const securemem_arena *arena)
{
    const struct smem_cache *cache = own(arena);
    uint32_t count = cache == NULL ? 0 : cache->guarded.count;
    for (unsigned i = 0; cache != NULL && i < SMEM_SIZE_CLASSES; i++)
        count += cache->bins[i].count;
    return count > 0 || arena->depot_count > 0;
}

void smem_cache_recall(securemem_arena *arena, const void **broken)
{
    struct smem_cache *cache = own(arena);
    if (cache != NULL)
        empty(cache, broken);
    smem_cache_empty_depot(arena, broken);
    smem_account_renew_epoch(arena);
}

static void inherit_thread(void *object, void *context)
{
    (void)context;
    struct smem_thread *thread = object;
    thread->last = thread->last_guarded = &none;
    if (thread != smem_thread_self)
        smem_pool_give(&pool, thread);
}

void smem_cache_inherit(void)
{
    smem_pool_each(&pool, inherit_thread, NULL);
}

void smem_cache_prepare_for(const void *secret)
{
    const struct smem_region *region = smem_registry_find(secret);
    if (region != NULL)
        smem_cache_prepare(region->owner);
}
