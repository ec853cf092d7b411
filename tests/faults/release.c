/* SPDX-License-Identifier: ISC */
/* Scenarios: secrets and arenas end. What cannot be wiped stays held, and says so. */
#include "faults/scenario.h"

static void add(struct stage *stage, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stage_add(stage, stage->variant.size);
}

static void one(struct stage *stage)
{
    add(stage, 1);
}

static void two(struct stage *stage)
{
    add(stage, 2);
}

static void close_first(struct stage *stage)
{
    if (securemem_set_access(stage->secrets[0].at, SECUREMEM_NONE) == 0)
        stage->secrets[0].access = SECUREMEM_NONE;
}

static void one_closed(struct stage *stage)
{
    add(stage, 1);
    close_first(stage);
}

static void two_one_closed(struct stage *stage)
{
    add(stage, 2);
    close_first(stage);
}

/* Three freed ones beside a live one, and one of another size. */
static void freed_ones(struct stage *stage)
{
    add(stage, 4);
    stage_add(stage, 9 * stage->variant.size);
    while (stage->count > 1)
        securemem_free(stage->secrets[--stage->count].at);
}

static void only_freed_ones(struct stage *stage)
{
    add(stage, 3);
    while (stage->count > 0)
        securemem_free(stage->secrets[--stage->count].at);
}

static int free_first(struct stage *stage, const char **wrong)
{
    (void)wrong;
    securemem_free(stage->secrets[0].at);
    stage_forget(stage, 0);
    return 0;
}

static int free_in_arena(struct stage *stage, const char **wrong)
{
    (void)wrong;
    securemem_arena_free(stage->arena, stage->secrets[0].at);
    stage_forget(stage, 0);
    return 0;
}

static int trim(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return -securemem_arena_trim(stage->arena);
}

static int destroy(struct stage *stage, const char **wrong)
{
    (void)wrong;
    securemem_arena_destroy(stage->arena);
    stage->destroyed = true;
    while (stage->count > 0)
        stage_forget(stage, 0);
    return 0;
}

const struct scenario release_scenarios[] = {
    {"securemem_free of the only secret", one, free_first, false, false},
    {"securemem_free of one of two", two, free_first, false, false},
    {"securemem_free of a closed secret", one_closed, free_first, false, false},
    {"securemem_free of a closed one of two", two_one_closed, free_in_arena, false,
     false},
    {"securemem_arena_trim beside a live secret", freed_ones, trim, false, false},
    {"securemem_arena_trim without a live secret", only_freed_ones, trim, false, false},
    {"securemem_arena_destroy", two_one_closed, destroy, false, false},
    {"securemem_arena_destroy with freed secrets", freed_ones, destroy, false, false},
};
const size_t release_scenario_count =
    sizeof release_scenarios / sizeof *release_scenarios;
