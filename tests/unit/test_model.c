/* SPDX-License-Identifier: ISC */
/*
 * Thousands of random calls, each by one of several threads, against a model that is too
 * simple to be wrong.
 */
#include <errno.h>
#include <stdlib.h>

#include "support/pace.h"
#include "unit/crew.h"
#include "unit/unit.h"

#define STEPS 10000
#define SEED  0x5ec0de
#define LIVE  64
#define KINDS 7

/* What the model knows of a secret: where, how long, what fills it, what it allows. */
struct entry {
    unsigned char *secret;
    size_t size, arena;
    unsigned char fill;
    securemem_access resting, now;
    unsigned scopes;
};

static struct entry model[LIVE];
static size_t live;
static securemem_arena *arenas[KINDS];

/* test_model [STEPS [SEED]] */
static unsigned long steps, seed = SEED;
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

static securemem_access draw_access(void)
{
    return draw() % 2 == 0 ? SECUREMEM_READ : SECUREMEM_WRITE;
}

static struct entry *draw_entry(void)
{
    return &model[draw() % live];
}

static securemem_arena *make_arena(size_t kind)
{
    securemem_guard_kind kinds[2];
    securemem_guard_kind last = kinds[guard_kinds(kinds) - 1];
    size_t page = view_page_size();
    const securemem_arena_options options[KINDS] = {
        {.idle = SIZE_MAX},
        {.guard_kind = last},
        {.guard_kind = SECUREMEM_GUARDS_PROT_NONE, .idle = 4 * page},
        {.guards = SECUREMEM_OFF},
        {.guard_kind = last, .idle = 8 * page},
        {.placement = SECUREMEM_PACKED},
        {.placement = SECUREMEM_PACKED, .canaries = SECUREMEM_OFF, .idle = SIZE_MAX},
    };
    securemem_arena *arena = securemem_arena_create(&options[kind]);
    NEED(arena != NULL);
    return arena;
}

static bool may_be_packed(const struct entry *entry)
{
    return entry->arena >= 5;
}

/* Packed secrets have no scopes, and say so; nothing else refuses one. */
static bool open(struct entry *entry, securemem_access access)
{
    int result = securemem_open(entry->secret, access);
    NEED(result == 0 || (may_be_packed(entry) && result == -ENOTSUP));
    if (result != 0)
        return false;
    entry->scopes++;
    entry->now = entry->now > access ? entry->now : access;
    return true;
}

static void close_scope(struct entry *entry)
{
    NEED(securemem_close(entry->secret) == 0);
    if (--entry->scopes == 0)
        entry->now = entry->resting;
}

static void fill(struct entry *entry)
{
    bool opened = open(entry, SECUREMEM_WRITE);
    entry->fill = (unsigned char)draw();
    if (entry->size > 0)
        memset(entry->secret, entry->fill, entry->size);
    if (opened)
        close_scope(entry);
}

static void need_bytes(struct entry *entry, size_t kept, size_t size, unsigned char after)
{
    bool opened = entry->now == SECUREMEM_NONE && open(entry, SECUREMEM_READ);
    NEED(all_bytes_are(entry->secret, kept, entry->fill));
    NEED(all_bytes_are(entry->secret + kept, size - kept, after));
    if (opened)
        close_scope(entry);
}

static void step_alloc(void)
{
    struct entry *entry = &model[live];
    size_t alignment = (size_t)1 << draw() % 8;
    *entry = (struct entry){.arena = draw() % KINDS,
                            .size = draw_size(),
                            .resting = SECUREMEM_WRITE,
                            .now = SECUREMEM_WRITE};
    entry->secret =
        securemem_arena_alloc_aligned(arenas[entry->arena], entry->size, alignment);
    NEED(entry->secret != NULL);
    NEED((uintptr_t)entry->secret % alignment == 0);
    need_bytes(entry, 0, entry->size, 0);
    for (size_t i = 0; i < live; i++)
        NEED(entry->secret != model[i].secret);
    fill(entry);
    live++;
}

static void step_realloc(void)
{
    struct entry *entry = draw_entry();
    size_t size = draw_size(), common = size < entry->size ? size : entry->size;
    entry->secret = securemem_realloc(entry->secret, size);
    NEED(entry->secret != NULL);
    need_bytes(entry, common, size, 0);
    entry->size = size;
    fill(entry);
}

/* Whatever its access, and with scopes open. */
static void step_free(void)
{
    struct entry *entry = draw_entry();
    securemem_free(entry->secret);
    *entry = model[--live];
}

static void step_open(void)
{
    struct entry *entry = draw_entry();
    (void)open(entry, draw_access());
    need_bytes(entry, entry->size, entry->size, 0);
}

static void step_close(void)
{
    struct entry *entry = draw_entry();
    if (entry->scopes > 0) {
        close_scope(entry);
        return;
    }
    int result = securemem_close(entry->secret);
    NEED(result == -EINVAL || (may_be_packed(entry) && result == -ENOTSUP));
}

static void step_set_access(void)
{
    struct entry *entry = draw_entry();
    securemem_access access = (securemem_access)(draw() % 3);
    int result = securemem_set_access(entry->secret, access);
    NEED(result == 0 || (may_be_packed(entry) && result == -ENOTSUP));
    if (result != 0)
        return;
    entry->resting = access;
    if (entry->scopes == 0 || entry->now < access)
        entry->now = access;
}

static void step_destroy(void)
{
    size_t kind = draw() % KINDS;
    securemem_arena_destroy(arenas[kind]);
    arenas[kind] = make_arena(kind);
    for (size_t i = live; i > 0; i--)
        if (model[i - 1].arena == kind)
            model[i - 1] = model[--live];
}

/* A child has zeros (all arenas wipe), may free all of it, and go on. */
static int child_has_zeros(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < live; i++) {
        NEED(securemem_size(model[i].secret) == model[i].size);
        need_bytes(&model[i], 0, model[i].size, 0);
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

static void step_fork(void)
{
    struct child_end end;
    child_run(child_has_zeros, NULL, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
}

static void step_trim(void)
{
    NEED(securemem_arena_trim(arenas[draw() % KINDS]) == 0);
}

static void step_check(void)
{
    NEED(securemem_arena_check(arenas[draw() % KINDS]) == 0);
}

/* Of the last four, one in sixteen of all, the first two are the rare ones. */
static void (*draw_step(void))(void)
{
    static void (*const seldom[])(void) = {step_fork, step_destroy, step_trim,
                                           step_check};
    unsigned what = (unsigned)(draw() % 16);
    if (live == 0 || (what < 6 && live < LIVE))
        return step_alloc;
    if (what < 8)
        return step_realloc;
    if (what < 12)
        return step_free;
    if (what < 13)
        return step_open;
    if (what < 14)
        return step_close;
    if (what < 15)
        return step_set_access;
    return seldom[draw() % 16 == 0 ? draw() % 2 : 2 + draw() % 2];
}

/* What the kernel says of all of it. */
static void check(void)
{
    static const char *const permissions[] = {"---p", "r--p", "rw-p"};
    assert_int_equal(budget_now().secrets, live);
    assert_int_equal(budget_now().charged, view_locked_bytes());
    for (size_t i = 0; i < live; i++) {
        assert_int_equal(securemem_size(model[i].secret), model[i].size);
        if (model[i].size > 0)
            assert_true(permissions_are(model[i].secret, permissions[model[i].now]));
        need_bytes(&model[i], model[i].size, model[i].size, 0);
    }
}

static void random_calls_agree_with_the_model(void **state)
{
    (void)state;
    printf("seed %#lx, %lu steps\n", seed, steps); /* also when it fails later */
    fflush(stdout);
    drawn = seed;
    for (size_t i = 0; i < KINDS; i++)
        arenas[i] = make_arena(i);
    crew_start();
    for (unsigned long step = 0; step < steps; step++) {
        crew_do(draw() % CREW, draw_step());
        if (draw() % 64 == 0)
            crew_replace(draw() % CREW);
        if (step % 100 == 0)
            check();
    }
    check();
    while (live > 0)
        crew_do(draw() % CREW, step_free);
    crew_end();
    for (size_t i = 0; i < KINDS; i++)
        securemem_arena_destroy(arenas[i]);
    assert_int_equal(budget_now().secrets, 0);
    assert_int_equal(budget_now().charged, 0);
    assert_int_equal(view_locked_bytes(), 0);
}

int main(int argc, char **argv)
{
    steps = argc > 1 ? strtoul(argv[1], NULL, 0) : paced(STEPS);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_agree_with_the_model),
    };
    return RUN_GROUP(tests);
}
