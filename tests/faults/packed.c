/* SPDX-License-Identifier: ISC */
/* Scenarios: packed secrets, on pages that are new, shared, idle and locked ahead. */
#include <errno.h>

#include "faults/scenario.h"

static void some(struct stage *stage)
{
    for (int i = 0; i < 5; i++)
        stage_add(stage, stage->variant.size);
}

/* The thread's cache has what it freed; other size classes have pages of their own. */
static void some_and_freed_ones(struct stage *stage)
{
    some(stage);
    stage_add(stage, stage->variant.size / 2);
    stage_add(stage, stage->variant.size * 3);
    while (stage->count > 2)
        securemem_free(stage->secrets[--stage->count].at);
}

static void only_freed_ones(struct stage *stage)
{
    some_and_freed_ones(stage);
    while (stage->count > 0)
        securemem_free(stage->secrets[--stage->count].at);
}

static int alloc(struct stage *stage, const char **wrong)
{
    (void)wrong;
    void *secret = securemem_arena_alloc(stage->arena, stage->variant.size);
    if (secret == NULL)
        return errno;
    stage_expect(stage, secret, stage->variant.size, 0, 0);
    return 0;
}

static int alloc_of_a_new_class(struct stage *stage, const char **wrong)
{
    (void)wrong;
    void *secret = securemem_arena_alloc(stage->arena, 1200);
    if (secret == NULL)
        return errno;
    stage_expect(stage, secret, 1200, 0, 0);
    return 0;
}

static int resize(struct stage *stage, size_t size)
{
    struct expected *first = &stage->secrets[0];
    unsigned char *moved = securemem_realloc(first->at, size);
    if (moved == NULL)
        return errno;
    first->at = moved;
    first->filled = size < first->filled ? size : first->filled;
    first->size = size;
    return 0;
}

static int resize_in_place(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return resize(stage, stage->variant.size + 3);
}

static int resize_to_another_class(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return resize(stage, stage->variant.size * 2 + 200);
}

static int resize_to_guarded(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return resize(stage, 5000);
}

static int free_first(struct stage *stage, const char **wrong)
{
    (void)wrong;
    securemem_free(stage->secrets[0].at);
    stage_forget(stage, 0);
    return 0;
}

static int reserve(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return -securemem_arena_reserve(stage->arena, 5UL * 4096);
}

static int trim(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return -securemem_arena_trim(stage->arena);
}

static int check(struct stage *stage, const char **wrong)
{
    if (securemem_arena_check(stage->arena) != 0)
        *wrong = "a canary is said to be broken";
    return 0;
}

static int destroy(struct stage *stage, const char **wrong)
{
    (void)wrong;
    while (stage->count > 0)
        stage_forget(stage, 0);
    stage->destroyed = true;
    securemem_arena_destroy(stage->arena);
    return 0;
}

const struct scenario packed_scenarios[] = {
    {"the first packed secret", NULL, alloc, false, false},
    {"one more packed secret", some, alloc, false, false},
    {"a packed secret where one was freed", some_and_freed_ones, alloc, false, false},
    {"a packed secret of a new class", some, alloc_of_a_new_class, false, false},
    {"packed realloc in place", some, resize_in_place, false, false},
    {"packed realloc to another class", some, resize_to_another_class, false, false},
    {"packed realloc to guarded", some, resize_to_guarded, false, false},
    {"free of a packed secret", some, free_first, false, false},
    {"securemem_arena_reserve", some, reserve, false, false},
    {"trim of a packed arena", some_and_freed_ones, trim, false, false},
    {"trim of an empty packed arena", only_freed_ones, trim, false, false},
    {"securemem_arena_check", some, check, false, false},
    {"destroy of a packed arena", some, destroy, false, false},
};
const size_t packed_scenario_count = sizeof packed_scenarios / sizeof *packed_scenarios;
