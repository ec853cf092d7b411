/* SPDX-License-Identifier: ISC */
/* Slots for secrets, and pages for packed ones: which region gives one. */
#include <errno.h>
#include <string.h>

#include "region/budget.h"
#include "region/error.h"
#include "secret/account.h"
#include "secret/page.h"

/*
 * A region has so many times the slots of all earlier ones of its class, between these. A
 * million secrets then live in few mappings; slots that are never used cost addresses.
 */
#define GROWTH         8U
#define FIRST_SLOTS    16U
#define FIRST_PAGES    1024U /* of a run */
#define LARGEST_SLOTS  (1U << 18)
#define LARGEST_REGION ((size_t)1 << 31)

/* What is asked of a region: its kind may be one of two. */
struct want {
    size_t pages;
    enum smem_region_kind kind; /* GUARD_PAGES stands for both kinds of guard */
    bool idle;                  /* only what needs no call to the kernel */
};

static bool is_wanted(const struct smem_region *region, const struct want *want)
{
    enum smem_region_kind kind = region->kind;
    if (kind == SMEM_GUARD_REGIONS)
        kind = SMEM_GUARD_PAGES;
    /* A fork may have taken the room of a region where it is listed. */
    return kind == want->kind && smem_account_pages(region) == want->pages &&
           smem_region_has_room(region) && (region->idle > 0 || !want->idle);
}

static int take_from(securemem_arena *arena, struct smem_region *region, uint32_t *slot)
{
    struct smem_before before = smem_account_look(arena, region);
    int result = smem_region_take(region, smem_account_allowance(arena), slot);
    smem_account_settle(arena, region, before);
    return result;
}

static uint32_t capacity_of(const securemem_arena *arena, enum smem_region_kind kind,
                            size_t pages)
{
    size_t class = smem_account_class(kind, pages);
    if (class == 0)
        return 1;
    size_t fit = LARGEST_REGION / ((pages + 1) * smem_kernel_page_size());
    uint32_t before = arena->class_capacity[class];
    uint32_t least = kind == SMEM_RUN ? FIRST_PAGES : FIRST_SLOTS;
    uint32_t capacity = before > LARGEST_SLOTS / GROWTH ? LARGEST_SLOTS : before * GROWTH;
    capacity = capacity < least ? least : capacity;
    if (capacity > fit)
        capacity = fit == 0 ? 1 : (uint32_t)fit;
    return capacity;
}

static int create_region(securemem_arena *arena, size_t pages, enum smem_region_kind kind,
                         int guards_refused, struct smem_region **out)
{
    struct smem_region_plan plan = {.options = &arena->options,
                                    .kind = kind,
                                    .slot_pages = pages,
                                    .capacity = capacity_of(arena, kind, pages),
                                    .owner = arena,
                                    .stripe = smem_stripe_of(&arena->object),
                                    .guards_refused = guards_refused,
                                    .stacks = arena->holds_stacks,
                                    .key = arena->door.key};
    if (kind == SMEM_RUN) {
        plan.secrets = smem_packed_secrets;
        plan.extra_bytes = smem_packed_extra(smem_kernel_page_size());
        plan.clear_extra = plan.capacity == FIRST_PAGES ? smem_packed_clear_extra : NULL;
    }
    int result = smem_region_create(&plan, out);
    while ((result == -ENOMEM || result == -EAGAIN) && plan.capacity > 1) {
        plan.capacity /= 2;
        plan.clear_extra = NULL; /* nobody else asks for as much */
        result = smem_region_create(&plan, out);
    }
    if (result == 0)
        smem_account_add(arena, *out);
    return result;
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
        (void)smem_account_end(arena, *region); /* empty; the first error is told */
        smem_error_resume();
    }
    return result;
}

/* A region that is wanted: one with idle slots, else the first; or NULL. */
static struct smem_region *choose(const securemem_arena *arena, const struct want *want)
{
    struct smem_region *choice = NULL;
    size_t class = smem_account_class(want->kind, want->pages);
    for (struct smem_region *r = arena->classes[class]; r != NULL; r = r->next) {
        if (!is_wanted(r, want))
            continue;
        if (choice == NULL || (choice->idle == 0 && r->idle > 0))
            choice = r;
        if (choice->idle > 0)
            break;
    }
    return choice;
}

/* Takes from a region that is there; -ENOENT, without a record, where none is. */
static int take_from_listed(securemem_arena *arena, struct want want,
                            struct smem_region **region, uint32_t *slot)
{
    struct smem_region *choice = choose(arena, &want);
    if (choice == NULL)
        return -ENOENT;
    *region = choice;
    return take_from(arena, choice, slot);
}

/*
 * Guard regions charge a page a secret, PROT_NONE guards cost two mappings: where lock
 * limit or budget are smaller than what the mappings reach, the page is what counts.
 */
static enum smem_region_kind preferred_kind(const securemem_arena *arena)
{
    if (arena->options.secret_memory != SECUREMEM_OFF)
        return SMEM_GUARD_PAGES;
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
    if (arena->options.budget != 0 && arena->options.budget < lock_bytes)
        lock_bytes = arena->options.budget;
    return lock_bytes / smem_kernel_page_size() > mappings ? SMEM_GUARD_REGIONS
                                                           : SMEM_GUARD_PAGES;
}

static int take_guarded(securemem_arena *arena, size_t pages, struct smem_region **region,
                        uint32_t *slot)
{
    int result = take_from_listed(
        arena, (struct want){.pages = pages, .kind = SMEM_GUARD_PAGES}, region, slot);
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
    int result = take_from_listed(
        arena, (struct want){.pages = pages, .kind = SMEM_UNGUARDED}, region, slot);
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

/*
 * Idle memory of another size, or in caches, may be what fills the limit, or what was
 * committed for others that are yet to come. What is reserved is kept.
 */
static bool made_room(securemem_arena *arena, size_t reserved)
{
    smem_account_renew_epoch(arena);
    if (smem_account_spare(arena, reserved) == 0 && arena->ready_bytes == 0)
        return false;
    /* What it cannot give back, the next try is refused. */
    (void)smem_arena_trim(arena, reserved);
    return true;
}

/*
 * Takes a slot or a page, by take_one; a refusal, also of what is only preferred, is taken
 * once it is sure that no idle memory stands in the way.
 */
static int insist(securemem_arena *arena,
                  int (*take_one)(securemem_arena *arena, size_t pages,
                                  struct smem_region **region, uint32_t *slot),
                  size_t pages, struct smem_region **region, uint32_t *slot)
{
    int result = take_one(arena, pages, region, slot);
    bool room = smem_account_spare(arena, arena->reserved_bytes) > 0;
    if (result == 0 && (!smem_arena_falls_short(*region, *slot) || !room))
        return 0;
    if (result == 0)
        smem_arena_give_slot(arena, *region, *slot);
    if (!made_room(arena, arena->reserved_bytes))
        return result;
    return take_one(arena, pages, region, slot);
}

/* Every machine has that much: it is not asked. */
#define LEAST_MEMORY ((size_t)1 << 20)

/* A kernel that overcommits would lock it all, and end the process half way. */
static int check_size(size_t bytes)
{
    if (bytes <= LEAST_MEMORY || bytes <= smem_kernel_memory())
        return 0;
    return smem_error_own("mlock", ENOMEM,
                          "the size is larger than the machine's memory; make it "
                          "smaller");
}

int smem_arena_take_slot(securemem_arena *arena, size_t size, struct smem_region **region,
                         uint32_t *slot)
{
    size_t page = smem_kernel_page_size();
    size_t pages = size / page + (size % page != 0) + (size == 0);
    int result = check_size(size);
    return result == 0 ? insist(arena, take, pages, region, slot) : result;
}

static int take_run(securemem_arena *arena, size_t pages, struct smem_region **region,
                    uint32_t *slot)
{
    int result = take_from_listed(arena, (struct want){.pages = pages, .kind = SMEM_RUN},
                                  region, slot);
    if (result == -ENOENT)
        result = take_from_new(arena, pages, SMEM_RUN, 0, region, slot);
    return result;
}

int smem_arena_take_page(securemem_arena *arena, struct smem_region **region,
                         uint32_t *slot)
{
    return insist(arena, take_run, 1, region, slot);
}

int smem_arena_take_idle_page(securemem_arena *arena, struct smem_region **region,
                              uint32_t *slot)
{
    return take_from_listed(
        arena, (struct want){.pages = 1, .kind = SMEM_GUARD_PAGES, .idle = true}, region,
        slot);
}

int smem_arena_take_idle_run(securemem_arena *arena, struct smem_region **region,
                             uint32_t *slot)
{
    return take_from_listed(
        arena, (struct want){.pages = 1, .kind = SMEM_RUN, .idle = true}, region, slot);
}

static int add_idle(securemem_arena *arena, struct smem_region *region)
{
    struct smem_before before = smem_account_look(arena, region);
    int result = smem_region_add_idle(region, smem_account_allowance(arena));
    smem_account_settle(arena, region, before);
    return result;
}

static int add_idle_to_new(securemem_arena *arena, enum smem_region_kind kind,
                           int guards_refused)
{
    struct smem_region *region;
    int result = create_region(arena, 1, kind, guards_refused, &region);
    if (result != 0)
        return result;
    result = add_idle(arena, region);
    if (result != 0) {
        smem_error_hold();
        (void)smem_account_end(arena, region); /* empty; the first error is told */
        smem_error_resume();
    }
    return result;
}

/* A region that can still grow, of one page a slot, is filled; or a new one is made. */
static int reserve_in(securemem_arena *arena, enum smem_region_kind kind,
                      int guards_refused)
{
    struct want want = {.pages = 1,
                        .kind = kind == SMEM_GUARD_REGIONS ? SMEM_GUARD_PAGES : kind};
    struct smem_region *region = arena->classes[smem_account_class(kind, 1)];
    while (region != NULL &&
           (!is_wanted(region, &want) || region->live + region->idle == region->capacity))
        region = region->next;
    return region != NULL ? add_idle(arena, region)
                          : add_idle_to_new(arena, kind, guards_refused);
}

static int reserve_page(securemem_arena *arena)
{
    const securemem_arena_options *options = &arena->options;
    if (options->placement == SECUREMEM_PACKED)
        return reserve_in(arena, SMEM_RUN, 0);
    if (options->guards == SECUREMEM_OFF)
        return reserve_in(arena, SMEM_UNGUARDED, 0);
    enum smem_region_kind kind = preferred_kind(arena);
    int result = reserve_in(arena, kind, 0);
    /* As for what is handed out: a kernel may not have guard regions. */
    if (result != 0 && kind == SMEM_GUARD_REGIONS &&
        options->guard_kind == SECUREMEM_GUARDS_AUTO)
        result = reserve_in(arena, SMEM_GUARD_PAGES, 0);
    return result;
}

/* The same without guards, where they were refused and are only preferred. */
static int reserve_without_guards(securemem_arena *arena, int refused)
{
    const securemem_arena_options *options = &arena->options;
    if (options->placement == SECUREMEM_PACKED || options->guards != SECUREMEM_PREFERRED)
        return refused;
    return reserve_in(arena, SMEM_UNGUARDED, -refused);
}

/* Whether so much more is beyond the lock limit. */
static bool is_beyond_limit(size_t bytes)
{
    struct smem_lock_budget locks;
    if (smem_budget_of_locks(&locks) != 0 || locks.unlimited)
        return false;
    return locks.in_use > locks.soft || bytes > locks.soft - locks.in_use;
}

/*
 * What refused one page is told as what refuses all that are missing, where they say it;
 * with guard regions the limit may be charged twice as much.
 */
static int refuse_missing(const securemem_arena *arena, int result, size_t missing)
{
    if (missing > smem_account_allowance(arena))
        return smem_error_budget(missing, arena->options.budget, arena->held_bytes);
    if (result == -ENOMEM && strcmp(securemem_last_error()->operation, "mlock") == 0 &&
        is_beyond_limit(missing))
        return smem_error_kernel("mlock", result, missing);
    return result;
}

int smem_arena_reserve(securemem_arena *arena, size_t bytes)
{
    int result = check_size(bytes);
    bool sane = result == 0;
    while (result == 0 && arena->idle_page_bytes < bytes) {
        result = reserve_page(arena);
        if (result != 0 && made_room(arena, bytes))
            result = reserve_page(arena);
        if (result != 0)
            result = reserve_without_guards(arena, result);
    }
    if (result == 0) {
        arena->reserved_bytes = bytes;
        return 0;
    }
    smem_error_hold();
    (void)smem_arena_trim(arena, arena->reserved_bytes);
    smem_error_resume();
    return sane ? refuse_missing(arena, result, bytes - arena->idle_page_bytes) : result;
}
