/* SPDX-License-Identifier: ISC */
/* Thousands of random calls against a model that is too simple to be wrong. */
#include "unit/unit.h"

#define STEPS 10000
#define SEED  UINT64_C(0x5ec0de)
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

/* xorshift64 (Marsaglia, 2003): the same steps on every machine. */
static uint64_t draw(void)
{
    static uint64_t x = SEED;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
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
    printf("seed %#lx, %d steps\n", (unsigned long)SEED, STEPS);
    make_arenas();
    for (int step = 0; step < STEPS; step++) {
        unsigned what = (unsigned)(draw() % 16);
        if (live == 0 || (what < 7 && live < LIVE))
            step_alloc();
        else if (what < 10)
            step_realloc(&model[draw() % live]);
        else if (what < 15)
            step_free(&model[draw() % live]);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_agree_with_the_model),
    };
    return RUN_GROUP(tests);
}
