/* SPDX-License-Identifier: ISC */
#include "faults/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL        0xc3
#define ELDER_BYTES 100

static struct expected elders[2];
static unsigned char next_fill = FILL;

/* What has to work without faults. */
static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "the stage cannot be set: %s: %s\n", what,
            securemem_last_error()->message);
    abort();
}

static void fill(struct expected *secret)
{
    int opened = securemem_open(secret->at, SECUREMEM_WRITE);
    need(opened == 0 || opened == -ENOTSUP, "open"); /* packed ones are open */
    memset(secret->at, secret->fill, secret->size);
    secret->filled = secret->size;
    need(opened != 0 || securemem_close(secret->at) == 0, "close");
}

/* More frees than a thread caches: the bookkeeping for them is there from now on. */
static void make_a_depot(void)
{
    void *secrets[20];
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.idle = SIZE_MAX});
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        need((secrets[i] = securemem_arena_alloc(arena, 1)) != NULL, "depot");
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        securemem_free(secrets[i]);
    securemem_arena_destroy(arena);
}

void stage_make_elders(securemem_guard_kind kind)
{
    make_a_depot();
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.guard_kind = kind});
    need(arena != NULL, "arena");
    for (size_t i = 0; i < 2; i++) {
        elders[i] = (struct expected){.at = securemem_arena_alloc(arena, ELDER_BYTES),
                                      .size = ELDER_BYTES,
                                      .fill = (unsigned char)(FILL - i),
                                      .access = SECUREMEM_WRITE};
        need(elders[i].at != NULL, "elder");
        fill(&elders[i]);
    }
    elders[1].access = SECUREMEM_NONE;
    need(securemem_set_access(elders[1].at, SECUREMEM_NONE) == 0, "access");
}

const struct expected *stage_elders(size_t *count)
{
    *count = 2;
    return elders;
}

void stage_fill_elders(void)
{
    fill(&elders[0]);
    fill(&elders[1]);
    need(securemem_set_access(elders[1].at, elders[1].access) == 0, "access");
}

securemem_arena_options stage_options(const struct variant *variant)
{
    return (securemem_arena_options){
        .lock = variant->policy,
        .guards = variant->policy,
        .no_dump = variant->policy,
        .fork_safety = variant->policy,
        .no_merge = variant->policy,
        .fork = variant->fork,
        .guard_kind = variant->kind,
        .placement = variant->placement,
        .idle = variant->idle,
    };
}

void stage_begin(struct stage *stage, const struct variant *variant)
{
    memset(stage, 0, sizeof *stage);
    stage->variant = *variant;
    securemem_arena_options options = stage_options(variant);
    stage->arena = securemem_arena_create(&options);
    need(stage->arena != NULL, "arena");
}

void stage_expect(struct stage *stage, void *at, size_t size, size_t filled,
                  unsigned char fill_with)
{
    if (stage->count == STAGE_SECRETS)
        abort();
    stage->secrets[stage->count++] = (struct expected){
        .at = at,
        .size = size,
        .filled = filled,
        .fill = fill_with,
        .access = SECUREMEM_WRITE,
    };
}

struct expected *stage_add(struct stage *stage, size_t size)
{
    unsigned char *at = securemem_arena_alloc(stage->arena, size);
    need(at != NULL, "secret");
    stage_expect(stage, at, size, 0, next_fill);
    next_fill = next_fill == UINT8_MAX ? FILL : (unsigned char)(next_fill + 1);
    struct expected *secret = &stage->secrets[stage->count - 1];
    fill(secret);
    return secret;
}

void stage_forget(struct stage *stage, size_t index)
{
    stage->freed[stage->freed_count++] = stage->secrets[index];
    stage->secrets[index] = stage->secrets[--stage->count];
}

void stage_end(struct stage *stage)
{
    for (size_t i = 0; i < stage->count; i++)
        securemem_free(stage->secrets[i].at);
    if (!stage->destroyed) {
        securemem_arena_destroy(stage->arena);
        return;
    }
    /* What a fault left of the arena goes when the next one is made. */
    securemem_arena *next = securemem_arena_create(NULL);
    need(next != NULL, "arena");
    securemem_arena_destroy(next);
}
