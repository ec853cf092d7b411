/* SPDX-License-Identifier: ISC */
/* Scenarios: secrets are made, out of every state that an arena can be in. */
#include <errno.h>

#include "faults/scenario.h"

/* Slots of the first region of a class: one more secret needs a second region. */
#define FIRST_SLOTS 16

static void one(struct stage *stage)
{
    stage_add(stage, stage->variant.size);
}

static void two(struct stage *stage)
{
    one(stage);
    one(stage);
}

/* A freed slot beside a live one: idle, or given back, as the variant says. */
static void one_and_a_freed_one(struct stage *stage)
{
    two(stage);
    securemem_free(stage->secrets[1].at);
    stage->count = 1;
}

/* With idle memory: it is of another size, and may be what fills the limit. */
static void idle_of_another_size(struct stage *stage)
{
    stage_add(stage, 9 * stage->variant.size);
    securemem_free(stage->secrets[0].at);
    stage->count = 0;
}

static void a_full_region(struct stage *stage)
{
    for (int i = 0; i < FIRST_SLOTS; i++)
        one(stage);
}

static int made(struct stage *stage, void *secret, size_t size)
{
    if (secret == NULL)
        return errno;
    stage_expect(stage, secret, size, 0, 0);
    return 0;
}

static int alloc(struct stage *stage, const char **wrong)
{
    (void)wrong;
    size_t size = stage->variant.size;
    return made(stage, securemem_arena_alloc(stage->arena, size), size);
}

static int alloc_at_the_guard(struct stage *stage, const char **wrong)
{
    size_t size = stage->variant.size + 1;
    void *secret = securemem_arena_alloc_aligned(stage->arena, size, 1);
    if (secret != NULL && ((uintptr_t)secret + size) % 4096 != 0)
        *wrong = "a secret of alignment 1 does not end at its guard";
    return made(stage, secret, size);
}

static int alloc_nothing(struct stage *stage, const char **wrong)
{
    (void)wrong;
    void *secret = securemem_arena_alloc(stage->arena, 0);
    if (secret == NULL)
        return errno;
    securemem_free(secret);
    return 0;
}

static int alloc_by_default(struct stage *stage, const char **wrong)
{
    (void)wrong;
    void *secret = securemem_alloc(stage->variant.size);
    int refused = secret == NULL ? errno : 0;
    if (refused == 0)
        made(stage, secret, stage->variant.size);
    return refused;
}

static int alloc_array(struct stage *stage, const char **wrong)
{
    (void)wrong;
    void *secret = securemem_alloc_array(3, stage->variant.size);
    return made(stage, secret, 3 * stage->variant.size);
}

static int alloc_aligned(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return made(stage, securemem_alloc_aligned(stage->variant.size, 64),
                stage->variant.size);
}

static int create_and_destroy(struct stage *stage, const char **wrong)
{
    (void)wrong;
    securemem_arena_options options = stage_options(&stage->variant);
    securemem_arena *arena = securemem_arena_create(&options);
    if (arena == NULL)
        return errno;
    securemem_arena_destroy(arena);
    return 0;
}

const struct scenario alloc_scenarios[] = {
    {"the first secret of an arena", NULL, alloc, false, false},
    {"the second secret of an arena", one, alloc, false, false},
    {"a secret where one was freed", one_and_a_freed_one, alloc, false, false},
    {"a secret beside idle memory of another size", idle_of_another_size, alloc, false,
     false},
    {"a secret beyond a full region", a_full_region, alloc, false, false},
    {"alignment 1", two, alloc_at_the_guard, false, false},
    {"size 0", one, alloc_nothing, false, false},
    {"securemem_alloc", NULL, alloc_by_default, false, true},
    {"securemem_alloc_array", NULL, alloc_array, false, true},
    {"securemem_alloc_aligned", NULL, alloc_aligned, false, true},
    {"securemem_arena_create", NULL, create_and_destroy, false, false},
};
const size_t alloc_scenario_count = sizeof alloc_scenarios / sizeof *alloc_scenarios;
