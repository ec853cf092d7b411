/* SPDX-License-Identifier: ISC */
/* Attack: a byte past the end, a byte before the start. Control: malloc. */
#include <errno.h>
#include <signal.h>

#include "attacks/attack.h"

#define SMALL 40U

struct touch {
    unsigned char *at;
    bool writes;
};

static int touch(void *argument)
{
    const struct touch *touch = argument;
    volatile unsigned char *at = hidden(touch->at);
    if (touch->writes)
        *at = 0;
    else
        (void)*at;
    return 0;
}

static void assert_faults_exactly_at(unsigned char *at)
{
    for (int writes = 0; writes < 2; writes++) {
        struct touch attack = {at, writes != 0};
        struct child_end end;
        child_run(touch, &attack, &end);
        assert_int_equal(end.signal, SIGSEGV);
        assert_int_equal(end.fault, (uintptr_t)at);
    }
}

static void assert_survives(unsigned char *at)
{
    for (int writes = 0; writes < 2; writes++) {
        struct touch attack = {at, writes != 0};
        struct child_end end;
        child_run(touch, &attack, &end);
        assert_int_equal(end.signal, 0);
        assert_int_equal(end.exit_code, 0);
    }
}

/*
 * Blocks of malloc from one stretch of the heap: the middle one has neighbours for more
 * than a page on both sides.
 */
static unsigned char *malloc_among_others(size_t size)
{
    static void *row[64]; /* never freed: the attack's children inherit them */
    for (size_t i = 0; i < COUNT(row); i++) {
        row[i] = malloc(size);
        assert_non_null(row[i]);
    }
    return row[COUNT(row) / 2];
}

static void control_malloc_survives(size_t size)
{
    size_t page = view_page_size();
    unsigned char *block = malloc_among_others(size);
    assert_survives(block + size);
    assert_survives(block + size + page);
    assert_survives(block - 1);
    assert_survives(block - page);
}

static void one_byte_and_one_page_past_either_end_fault_there(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    control_malloc_survives(page);
    for (size_t i = 0; i < count; i++) {
        /* DROP would have the child fault everywhere, WIPE renews guards: attack both. */
        for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork += 2) {
            securemem_arena *arena = attack_arena((securemem_arena_options){
                .guard_kind = kinds[i], .fork = (securemem_fork)fork});
            unsigned char *odd = securemem_arena_alloc_aligned(arena, SMALL + 1, 1);
            unsigned char *full = securemem_arena_alloc(arena, page);
            unsigned char *large = securemem_arena_alloc(arena, 3 * page);
            assert_non_null(odd);
            assert_non_null(full);
            assert_non_null(large);
            assert_faults_exactly_at(odd + SMALL + 1);
            /* Inside its own pages a secret is its user's, canary included. */
            assert_survives(odd + SMALL);
            assert_survives(odd - 1);
            assert_faults_exactly_at(full + page);
            assert_faults_exactly_at(full - 1);
            assert_faults_exactly_at(full - page);
            assert_faults_exactly_at(large + 3 * page);
            assert_faults_exactly_at(large - 1);
            assert_faults_exactly_at(large - page);
            securemem_arena_destroy(arena);
        }
    }
    SAY_WHICH_KINDS(count);
}

/* The page behind a guard may be a neighbour's: a lone secret has none. */
static void a_page_past_a_lone_secret_faults_there(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    control_malloc_survives(SMALL);
    for (size_t i = 0; i < count; i++) {
        securemem_arena *arena =
            attack_arena((securemem_arena_options){.guard_kind = kinds[i]});
        unsigned char *secret = securemem_arena_alloc_aligned(arena, SMALL, 1);
        assert_non_null(secret);
        unsigned char *guard = secret + SMALL;
        assert_faults_exactly_at(guard);
        assert_faults_exactly_at(guard + page - 1);
        assert_faults_exactly_at(guard + page);
        assert_faults_exactly_at(guard - 2 * page);
        securemem_arena_destroy(arena);
    }
    SAY_WHICH_KINDS(count);
}

/* Every neighbour of a secret among many is behind a guard of its own. */
static void secrets_side_by_side_have_a_guard_between_them(void **state)
{
    (void)state;
    enum { MANY = 40 };
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    control_malloc_survives(page);
    for (size_t i = 0; i < count; i++) {
        securemem_arena *arena =
            attack_arena((securemem_arena_options){.guard_kind = kinds[i]});
        unsigned char *secrets[MANY];
        for (size_t j = 0; j < MANY; j++) {
            secrets[j] = securemem_arena_alloc(arena, page);
            assert_non_null(secrets[j]);
        }
        for (size_t j = 0; j < MANY; j++) {
            struct child_end end;
            struct touch past = {secrets[j] + page, true};
            child_run(touch, &past, &end);
            assert_int_equal(end.signal, SIGSEGV);
            assert_int_equal(end.fault, (uintptr_t)past.at);
            struct touch before = {secrets[j] - 1, false};
            child_run(touch, &before, &end);
            assert_int_equal(end.signal, SIGSEGV);
            assert_int_equal(end.fault, (uintptr_t)before.at);
        }
        securemem_arena_destroy(arena);
    }
    SAY_WHICH_KINDS(count);
}

/* A stray terminator: where malloc keeps a zero already, and where nobody looks. */
struct stray {
    securemem_guard_kind kind;
    bool of_malloc;
    size_t size, alignment;
    ptrdiff_t offset;
    unsigned char flipped; /* these bits; 0: writes a zero */
};

static int write_and_free(void *argument)
{
    const struct stray *stray = argument;
    securemem_arena *arena = NULL;
    unsigned char *block;
    if (stray->of_malloc) {
        block = malloc(stray->size);
    } else {
        arena =
            securemem_arena_create(&(securemem_arena_options){.guard_kind = stray->kind});
        block = securemem_arena_alloc_aligned(arena, stray->size, stray->alignment);
    }
    if (block == NULL)
        return 1;
    volatile unsigned char *at = (unsigned char *)hidden(block) + stray->offset;
    *at = stray->flipped == 0 ? 0 : *at ^ stray->flipped;
    if (stray->of_malloc)
        free(hidden(block));
    else
        securemem_free(block);
    return 0;
}

static void assert_canary_found(struct stray stray)
{
    struct child_end end;
    child_run(write_and_free, &stray, &end);
    assert_int_equal(end.signal, SIGABRT);
    static const char line[] = "securemem: bytes around a secret were overwritten: 0x";
    assert_int_equal(strncmp(end.errors, line, strlen(line)), 0);
    char *newline = strchr(end.errors, '\n');
    assert_non_null(newline);
    assert_int_equal(newline[1], '\0');
}

static void a_byte_written_around_a_secret_is_found_by_free(void **state)
{
    (void)state;
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);

    /* Inside the usable size of malloc(20), and the highest byte of a size field. */
    const ptrdiff_t unnoticed[] = {20, -1};
    for (size_t i = 0; i < COUNT(unnoticed); i++) {
        struct stray control = {.of_malloc = true, .size = 20, .offset = unnoticed[i]};
        struct child_end end;
        child_run(write_and_free, &control, &end);
        assert_int_equal(end.signal, 0);
        assert_int_equal(end.exit_code, 0);
        assert_string_equal(end.errors, "");
    }
    for (size_t i = 0; i < count; i++) {
        struct stray stray = {.kind = kinds[i], .size = 20, .alignment = 16};
        const ptrdiff_t offsets[] = {20, 31, -1, 32 - (ptrdiff_t)page};
        const unsigned char flips[] = {0, 0x01, 0x80, 0xff};
        for (size_t j = 0; j < COUNT(offsets) * COUNT(flips); j++) {
            stray.offset = offsets[j / COUNT(flips)];
            stray.flipped = flips[j % COUNT(flips)];
            assert_canary_found(stray);
        }
        assert_canary_found((struct stray){
            .kind = kinds[i], .size = page - 1, .alignment = 1, .offset = -1});
        assert_canary_found((struct stray){
            .kind = kinds[i], .size = page + 1, .alignment = 8, .offset = -1});
        assert_canary_found(
            (struct stray){.kind = kinds[i], .size = 3, .alignment = 4, .offset = 3});
    }
    SAY_WHICH_KINDS(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_and_one_page_past_either_end_fault_there),
        cmocka_unit_test(a_page_past_a_lone_secret_faults_there),
        cmocka_unit_test(secrets_side_by_side_have_a_guard_between_them),
        cmocka_unit_test(a_byte_written_around_a_secret_is_found_by_free),
    };
    return RUN_GROUP(tests);
}
