/* SPDX-License-Identifier: ISC */
/* Slots for guarded secrets: which region gives one, and when one goes back. */
#include <errno.h>
#include <sodium.h>

#include "region/budget.h"
#include "region/error.h"
#include "secret/arena.h"
#include "secret/canary.h"

/*
 * A region has so many times the slots of all earlier ones of its class, between these. A
 * million secrets then live in few mappings; slots that are never used cost addresses.
 */
#define GROWTH         8U
#define FIRST_SLOTS    16U
#define LARGEST_SLOTS  (1U << 18)
#define LARGEST_REGION ((size_t)1 << 31)

static size_t class_of(size_t pages)
{
    return pages < SMEM_CLASSES ? pages : 0;
}

static size_t pages_of(const struct smem_region *region)
{
    return region->slot_bytes / region->page;
}

static void unlist(struct smem_region *region)
{
    *region->link = region->next;
    if (region->next != NULL)
        region->next->link = region->link;
}

static void list(securemem_arena *arena, struct smem_region *region)
{
    struct smem_region **head = smem_region_has_room(region)
                                    ? &arena->classes[class_of(pages_of(region))]
                                    : &arena->full;
    region->next = *head;
    region->link = head;
    if (*head != NULL)
        (*head)->link = &region->next;
    *head = region;
}

/* What an operation on a region may change of the arena's account. */
struct before {
    size_t held_bytes, idle_bytes;
    bool room;
};

static struct before look(const struct smem_region *region)
{
    return (struct before){.held_bytes = region->held_bytes,
                           .idle_bytes = region->idle * region->slot_bytes,
                           .room = smem_region_has_room(region)};
}

static void settle(securemem_arena *arena, struct smem_region *region,
                   struct before before)
{
    arena->held_bytes += region->held_bytes - before.held_bytes;
    arena->idle_bytes += region->idle * region->slot_bytes - before.idle_bytes;
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

void smem_arena_each_region(securemem_arena *arena,
                            void (*visit)(securemem_arena *, struct smem_region *,
                                          void *),
                            void *context)
{
    for (size_t i = 0; i < SMEM_CLASSES; i++)
        each_in(arena, arena->classes[i], visit, context);
    each_in(arena, arena->full, visit, context);
}

int smem_arena_drop_region(securemem_arena *arena, struct smem_region *region)
{
    size_t held_bytes = region->held_bytes;
    size_t idle_bytes = region->idle * region->slot_bytes;
    size_t class = class_of(pages_of(region));
    uint32_t capacity = region->capacity;
    unlist(region);
    int result = smem_region_release(region);
    if (result != 0) {
        list(arena, region); /* retired, for another try */
        return result;
    }
    arena->held_bytes -= held_bytes;
    arena->idle_bytes -= idle_bytes;
    arena->class_capacity[class] -= capacity;
    return 0;
}

static size_t allowance_of(const securemem_arena *arena)
{
    size_t budget = arena->options.budget;
    if (budget == 0)
        return SIZE_MAX;
    return arena->held_bytes < budget ? budget - arena->held_bytes : 0;
}

static int take_from(securemem_arena *arena, struct smem_region *region, uint32_t *slot)
{
    struct before before = look(region);
    int result = smem_region_take(region, allowance_of(arena), slot);
    settle(arena, region, before);
    return result;
}

static int create_region(securemem_arena *arena, size_t pages, enum smem_region_kind kind,
                         int guards_refused, struct smem_region **out)
{
    size_t class = class_of(pages);
    size_t page = smem_kernel_page_size();
    uint32_t capacity = 1;
    if (class != 0) {
        size_t fit = LARGEST_REGION / ((pages + 1) * page);
        uint32_t before = arena->class_capacity[class];
        capacity = before > LARGEST_SLOTS / GROWTH ? LARGEST_SLOTS : before * GROWTH;
        if (capacity < FIRST_SLOTS)
            capacity = FIRST_SLOTS;
        if (capacity > fit)
            capacity = fit == 0 ? 1 : (uint32_t)fit;
    }
    struct smem_region_plan plan = {.options = &arena->options,
                                    .kind = kind,
                                    .slot_pages = pages,
                                    .capacity = capacity,
                                    .owner = arena,
                                    .stripe = smem_stripe_of(&arena->object),
                                    .guards_refused = guards_refused};
    int result = smem_region_create(&plan, out);
    while ((result == -ENOMEM || result == -EAGAIN) && plan.capacity > 1) {
        plan.capacity /= 2;
        result = smem_region_create(&plan, out);
    }
    if (result != 0)
        return result;
    arena->class_capacity[class] += plan.capacity;
    list(arena, *out);
    return 0;
}

static int take_from_new(securemem_arena *arena, size_t pages, enum smem_region_kind kind,
                         int guards_refused, struct smem_region **region, uint32_t *slot)
{
    int result = create_region(arena, pages, kind, guards_refused, region);
    if (result != 0)
        return result;
    result = take_from(arena, *region, slot);
    if (result != 0) {
        smem_error_hold();
        (void)smem_arena_drop_region(arena, *region); /* empty; the first error is told */
        smem_error_resume();
    }
    return result;
}

/*
 * Takes from a region that is there: one with idle slots, else the first. Gives -ENOENT,
 * without a record, where no region of that sort has room.
 */
static int take_from_listed(securemem_arena *arena, size_t pages, bool guarded,
                            struct smem_region **region, uint32_t *slot)
{
    struct smem_region *choice = NULL;
    for (struct smem_region *r = arena->classes[class_of(pages)]; r != NULL;
         r = r->next) {
        /* A fork may have taken the room of a region where it is listed. */
        if (pages_of(r) != pages || (r->kind != SMEM_UNGUARDED) != guarded ||
            !smem_region_has_room(r))
            continue;
        if (choice == NULL || (choice->idle == 0 && r->idle > 0))
            choice = r;
        if (choice->idle > 0)
            break;
    }
    if (choice == NULL)
        return -ENOENT;
    *region = choice;
    return take_from(arena, choice, slot);
}

/*
 * Guard regions charge a page a secret, PROT_NONE guards cost two mappings: where the
 * lock limit is smaller than what the mappings reach, the page is what counts.
 */
static enum smem_region_kind preferred_kind(const securemem_arena *arena)
{
    switch (arena->options.guard_kind) {
    case SECUREMEM_GUARDS_PROT_NONE:
        return SMEM_GUARD_PAGES;
    case SECUREMEM_GUARDS_REGION:
        return SMEM_GUARD_REGIONS;
    case SECUREMEM_GUARDS_AUTO:
        break;
    }
    size_t lock_bytes, mappings;
    smem_budget_estimate(&lock_bytes, &mappings);
    return lock_bytes / smem_kernel_page_size() > mappings ? SMEM_GUARD_REGIONS
                                                           : SMEM_GUARD_PAGES;
}

static int take_guarded(securemem_arena *arena, size_t pages, struct smem_region **region,
                        uint32_t *slot)
{
    int result = take_from_listed(arena, pages, true, region, slot);
    bool automatic = arena->options.guard_kind == SECUREMEM_GUARDS_AUTO;
    if (result == 0)
        return 0;
    /* A second region of PROT_NONE guards would meet the same refusal. */
    if (result != -ENOENT && (!automatic || (*region)->kind == SMEM_GUARD_PAGES))
        return result;

    enum smem_region_kind kind = preferred_kind(arena);
    if (result == -ENOENT || kind == SMEM_GUARD_PAGES)
        result = take_from_new(arena, pages, kind, 0, region, slot);
    if (result != 0 && automatic && kind == SMEM_GUARD_REGIONS)
        result = take_from_new(arena, pages, SMEM_GUARD_PAGES, 0, region, slot);
    return result;
}

static int take_unguarded(securemem_arena *arena, size_t pages, int guards_refused,
                          struct smem_region **region, uint32_t *slot)
{
    int result = take_from_listed(arena, pages, false, region, slot);
    if (result == -ENOENT)
        result =
            take_from_new(arena, pages, SMEM_UNGUARDED, guards_refused, region, slot);
    return result;
}

static int take(securemem_arena *arena, size_t pages, struct smem_region **region,
                uint32_t *slot)
{
    int result = 0;
    if (arena->options.guards != SECUREMEM_OFF)
        result = take_guarded(arena, pages, region, slot);
    if (arena->options.guards == SECUREMEM_OFF ||
        (result != 0 && arena->options.guards == SECUREMEM_PREFERRED))
        result = take_unguarded(arena, pages, -result, region, slot);
    return result;
}

int smem_arena_take_slot(securemem_arena *arena, size_t size, struct smem_region **region,
                         uint32_t *slot)
{
    size_t page = smem_kernel_page_size();
    size_t pages = size / page + (size % page != 0) + (size == 0);
    int result = take(arena, pages, region, slot);
    if (result == 0 || arena->idle_bytes == 0)
        return result;
    /* Idle memory of another size may be what fills the limit. */
    (void)smem_arena_trim(arena); /* what it cannot give back, the next try is refused */
    return take(arena, pages, region, slot);
}

int smem_arena_wipe_slot(struct smem_region *region, uint32_t slot, bool *intact)
{
    struct smem_slot *s = &region->slots[slot];
    int result = smem_region_set_access(region, slot, SMEM_ACCESS_WRITE);
    if (result != 0) {
        atomic_store(&s->state, SMEM_SLOT_HELD);
        return result;
    }
    *intact = smem_canary_intact(region, slot);
    sodium_memzero(smem_slot_data(region, slot), region->slot_bytes);
    return 0;
}

void smem_arena_give_slot(securemem_arena *arena, struct smem_region *region,
                          uint32_t slot)
{
    struct before before = look(region);
    smem_region_keep(region, slot);
    settle(arena, region, before);
    if (arena->idle_bytes <= arena->options.idle)
        return;
    if (region->live == 0 && region->idle == 1 &&
        smem_arena_drop_region(arena, region) == 0)
        return;
    before = look(region);
    (void)smem_region_return_idle(region); /* refused, it is idle: wiped and protected */
    settle(arena, region, before);
}

/* Secrets that could not be wiped when they were freed: now, perhaps. */
static void retry_held(securemem_arena *arena, struct smem_region *region, int *result)
{
    for (uint32_t i = 0; i < region->used; i++) {
        if (smem_slot_state(region, i) != SMEM_SLOT_HELD)
            continue;
        bool intact;
        int wiped = smem_arena_wipe_slot(region, i, &intact);
        if (wiped != 0) {
            *result = wiped;
            continue;
        }
        struct before before = look(region);
        smem_region_keep(region, i);
        settle(arena, region, before);
    }
}

/* Until all is given back or the kernel refuses. 0 or the negative errno, recorded. */
static int return_all_idle(securemem_arena *arena, struct smem_region *region)
{
    struct before before = look(region);
    int result = 0;
    for (uint32_t left = region->idle; left > 0 && region->idle == left; left--) {
        int returned = smem_region_return_idle(region);
        result = returned != 0 ? returned : result;
    }
    settle(arena, region, before);
    return result;
}

static void trim_region(securemem_arena *arena, struct smem_region *region, void *context)
{
    int *result = context;
    if (atomic_load(&region->object.state) != SMEM_REGION_LIVE)
        return;
    retry_held(arena, region, result);
    if (region->live == 0) {
        int dropped = smem_arena_drop_region(arena, region);
        if (dropped == 0)
            return;
        *result = dropped;
    }
    int returned = return_all_idle(arena, region); /* at least the locks */
    *result = returned != 0 ? returned : *result;
}

int smem_arena_trim(securemem_arena *arena)
{
    int result = 0;
    smem_arena_each_region(arena, trim_region, &result);
    return result;
}

void smem_arena_unlock_region(securemem_arena *arena, struct smem_region *region)
{
    (void)return_all_idle(arena, region);
    smem_region_unlock(region);
}
