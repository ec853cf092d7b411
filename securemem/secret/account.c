/* SPDX-License-Identifier: ISC */
#include "secret/account.h"

uint64_t smem_account_serial(void)
{
    static _Atomic uint64_t serial;
    return atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed) + 1;
}

void smem_account_renew_epoch(securemem_arena *arena)
{
    atomic_store(&arena->epoch, smem_account_serial());
}

static size_t class_of(const struct smem_region *region)
{
    return smem_account_class(region->kind, smem_account_pages(region));
}

static void unlist(struct smem_region *region)
{
    *region->link = region->next;
    if (region->next != NULL)
        region->next->link = region->link;
}

static void list(securemem_arena *arena, struct smem_region *region)
{
    struct smem_region **head =
        smem_region_has_room(region) ? &arena->classes[class_of(region)] : &arena->full;
    region->next = *head;
    region->link = head;
    if (*head != NULL)
        (*head)->link = &region->next;
    *head = region;
}

/* What was committed with others, and waits for its first secret. */
static size_t ready_of(const struct smem_region *region)
{
    uint32_t committed = atomic_load_explicit(&region->committed, memory_order_relaxed);
    return smem_region_has_room(region) ? (committed - region->used) * region->slot_bytes
                                        : 0;
}

static size_t idle_of(const struct smem_region *region)
{
    return region->idle * region->slot_bytes;
}

static size_t idle_pages_of(const securemem_arena *arena,
                            const struct smem_region *region)
{
    return smem_account_is_reserve(arena, region) ? idle_of(region) : 0;
}

struct smem_before smem_account_look(const securemem_arena *arena,
                                     const struct smem_region *region)
{
    return (struct smem_before){.held_bytes = region->held_bytes,
                                .idle_bytes = idle_of(region),
                                .idle_page_bytes = idle_pages_of(arena, region),
                                .ready_bytes = ready_of(region),
                                .room = smem_region_has_room(region)};
}

void smem_account_settle(securemem_arena *arena, struct smem_region *region,
                         struct smem_before before)
{
    arena->held_bytes += region->held_bytes - before.held_bytes;
    arena->idle_bytes += idle_of(region) - before.idle_bytes;
    arena->idle_page_bytes += idle_pages_of(arena, region) - before.idle_page_bytes;
    arena->ready_bytes += ready_of(region) - before.ready_bytes;
    if (smem_region_has_room(region) != before.room) {
        unlist(region);
        list(arena, region);
    }
}

static void each_in(securemem_arena *arena, struct smem_region *region,
                    void (*visit)(securemem_arena *, struct smem_region *, void *),
                    void *context)
{
    while (region != NULL) {
        struct smem_region *next = region->next;
        visit(arena, region, context);
        region = next;
    }
}

void smem_account_each(securemem_arena *arena,
                       void (*visit)(securemem_arena *, struct smem_region *, void *),
                       void *context)
{
    for (size_t i = 0; i < SMEM_CLASSES; i++)
        each_in(arena, arena->classes[i], visit, context);
    each_in(arena, arena->full, visit, context);
}

int smem_account_end(securemem_arena *arena, struct smem_region *region)
{
    struct smem_before before = smem_account_look(arena, region);
    size_t class = class_of(region);
    uint32_t capacity = region->capacity;
    unlist(region);
    /*
     * Threads may know the run, or the row. They have to learn that it ends before another
     * arena can have its addresses: a secret of that would be taken for one of this.
     */
    if (class == SMEM_RUNS || class == 1)
        smem_account_renew_epoch(arena);
    int result = smem_region_release(region);
    if (result != 0) {
        list(arena, region); /* retired, for another try: it has nothing to hand out */
        arena->ready_bytes -= before.ready_bytes;
        return result;
    }
    arena->held_bytes -= before.held_bytes;
    arena->idle_bytes -= before.idle_bytes;
    arena->idle_page_bytes -= before.idle_page_bytes;
    arena->ready_bytes -= before.ready_bytes;
    arena->class_capacity[class] -= capacity;
    return 0;
}

void smem_account_add(securemem_arena *arena, struct smem_region *region)
{
    arena->class_capacity[class_of(region)] += region->capacity;
    list(arena, region);
}

static void count(securemem_arena *arena, struct smem_region *region, void *context)
{
    (void)context;
    arena->held_bytes += region->held_bytes;
    arena->idle_bytes += idle_of(region);
    arena->idle_page_bytes += idle_pages_of(arena, region);
    arena->ready_bytes += ready_of(region);
}

void smem_account_recount(securemem_arena *arena)
{
    arena->held_bytes = arena->ready_bytes = 0;
    arena->idle_bytes = arena->idle_page_bytes = 0;
    smem_account_each(arena, count, NULL);
}

size_t smem_account_spare(const securemem_arena *arena, size_t reserved)
{
    size_t pages = arena->idle_page_bytes;
    return arena->idle_bytes - (pages < reserved ? pages : reserved);
}

size_t smem_account_allowance(const securemem_arena *arena)
{
    size_t budget = arena->options.budget;
    if (budget == 0)
        return SIZE_MAX;
    return arena->held_bytes < budget ? budget - arena->held_bytes : 0;
}
