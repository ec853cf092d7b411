/* SPDX-License-Identifier: ISC */
/* Thousands of random calls against a model that is too simple to be wrong. */
#include <errno.h>
#include <stdlib.h>

#include "unit/unit.h"

#define STEPS 10000
#define SEED  0x5ec0de
#define LIVE  64
#define KINDS 7

/* What the model knows of a secret: where, how long, and the byte that fills it. */
struct entry {
    unsigned char *secret;
    size_t size;
    unsigned char fill;
};

static struct entry model[LIVE];
static size_t live;
static securemem_arena *arenas[KINDS];

/* test_model [STEPS [SEED]] */
static unsigned long steps = STEPS, seed = SEED;
static uint64_t drawn;

/* xorshift64 (Marsaglia, 2003): the same steps on every machine. */
static uint64_t draw(void)
{
    drawn ^= drawn << 13;
    drawn ^= drawn >> 7;
    drawn ^= drawn << 17;
    return drawn;
}

static size_t draw_size(void)
{
    size_t page = view_page_size();
    switch (draw() % 8) {
    case 0:
        return 0;
    case 1:
        return page;
    case 2:
        return draw() % (4 * page);
    case 3:
        return page + draw() % 3 - 1;
    default:
        return draw() % 200;
    }
}

static void fill(struct entry *entry)
{
    entry->fill = (unsigned char)draw();
    if (entry->size > 0)
        memset(entry->secret, entry->fill, entry->size);
}

static void step_alloc(void)
{
    struct entry *entry = &model[live];
    securemem_arena *arena = arenas[draw() % KINDS];
    size_t alignment = (size_t)1 << draw() % 8;
    entry->size = draw_size();
    entry->secret = securemem_arena_alloc_aligned(arena, entry->size, alignment);
    assert_non_null(entry->secret);
    assert_int_equal((uintptr_t)entry->secret % alignment, 0);
    assert_true(all_bytes_are(entry->secret, entry->size, 0));
    for (size_t i = 0; i < live; i++)
        assert_ptr_not_equal(entry->secret, model[i].secret);
    fill(entry);
    live++;
}

static void step_realloc(struct entry *entry)
{
    size_t size = draw_size(), common = size < entry->size ? size : entry->size;
    entry->secret = securemem_realloc(entry->secret, size);
    assert_non_null(entry->secret);
    assert_true(all_bytes_are(entry->secret, common, entry->fill));
    assert_true(all_bytes_are(entry->secret + common, size - common, 0));
    entry->size = size;
    fill(entry);
}

static void step_free(struct entry *entry)
{
    securemem_free(entry->secret);
    *entry = model[--live];
}

/* Scopes open and close; packed secrets have none, and say so. */
static void step_open(struct entry *entry)
{
    securemem_access access = draw() % 2 == 0 ? SECUREMEM_READ : SECUREMEM_WRITE;
    int opened = securemem_open(entry->secret, access);
    assert_true(opened == 0 || opened == -ENOTSUP);
    assert_true(all_bytes_are(entry->secret, entry->size, entry->fill));
    assert_int_equal(securemem_close(entry->secret), opened);
}

/* A child has zeros (all arenas wipe), may free all of it, and go on. */
static int child_has_zeros(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < live; i++) {
        NEED(securemem_size(model[i].secret) == model[i].size);
        NEED(all_bytes_are(model[i].secret, model[i].size, 0));
    }
    for (size_t i = 0; i < KINDS; i++) {
        NEED(securemem_arena_check(arenas[i]) == 0);
        char *own = securemem_arena_alloc(arenas[i], 40);
        NEED(own != NULL && all_bytes_are(own, 40, 0));
        memset(own, 1, 40);
    }
    for (size_t i = 0; i < live; i++)
        securemem_free(model[i].secret);
    for (size_t i = 0; i < KINDS; i++)
        securemem_arena_destroy(arenas[i]);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void check(void)
{
    assert_int_equal(budget_now().secrets, live);
    assert_int_equal(budget_now().charged, view_locked_bytes());
    for (size_t i = 0; i < live; i++) {
        assert_int_equal(securemem_size(model[i].secret), model[i].size);
        assert_true(all_bytes_are(model[i].secret, model[i].size, model[i].fill));
    }
}

static void make_arenas(void)
{
    securemem_guard_kind kinds[2];
    securemem_guard_kind last = kinds[guard_kinds(kinds) - 1];
    arenas[0] = arena_of((securemem_arena_options){.idle = SIZE_MAX});
    arenas[1] = arena_of((securemem_arena_options){.guard_kind = last});
    arenas[2] = arena_of((securemem_arena_options){
        .guard_kind = SECUREMEM_GUARDS_PROT_NONE, .idle = 4 * view_page_size()});
    arenas[3] = arena_of((securemem_arena_options){.guards = SECUREMEM_OFF});
    arenas[5] = arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED});
    arenas[6] = arena_of((securemem_arena_options){
        .placement = SECUREMEM_PACKED, .canaries = SECUREMEM_OFF, .idle = SIZE_MAX});
    arenas[4] = arena_of(
        (securemem_arena_options){.guard_kind = last, .idle = 8 * view_page_size()});
}

static void random_calls_agree_with_the_model(void **state)
{
    (void)state;
    printf("seed %#lx, %lu steps\n", seed, steps); /* also when it fails later */
    fflush(stdout);
    drawn = seed;
    make_arenas();
    for (unsigned long step = 0; step < steps; step++) {
        unsigned what = (unsigned)(draw() % 16);
        if (live == 0 || (what < 7 && live < LIVE))
            step_alloc();
        else if (what < 10)
            step_realloc(&model[draw() % live]);
        else if (what < 14)
            step_free(&model[draw() % live]);
        else if (what < 15)
            step_open(&model[draw() % live]);
        else if (draw() % 32 == 0)
            assert_false(child_skips(child_has_zeros, NULL));
        else if (draw() % 2 == 0)
            assert_int_equal(securemem_arena_trim(arenas[draw() % KINDS]), 0);
        else
            assert_int_equal(securemem_arena_check(arenas[draw() % KINDS]), 0);
        if (step % 100 == 0)
            check();
    }
    check();
    while (live > 0)
        step_free(&model[live - 1]);
    for (size_t i = 0; i < KINDS; i++)
        securemem_arena_destroy(arenas[i]);
    assert_int_equal(budget_now().secrets, 0);
    assert_int_equal(budget_now().charged, 0);
    assert_int_equal(view_locked_bytes(), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        steps = strtoul(argv[1], NULL, 0);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_agree_with_the_model),
    };
    return RUN_GROUP(tests);
}
