/* SPDX-License-Identifier: ISC */
/* vm.max_map_count: no secret without its guards, and few mappings for very many. */
#include <errno.h>
#include <securemem.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#include "limits/many.h"
#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define SIZE          32
#define ASKED         40000
#define VERY_MANY     100000
#define MOST_MAPPINGS 64

static void *secrets[VERY_MANY];

/* Tests with more locked pages than an ordinary limit allows. */
static int may_lock_much(void)
{
    securemem_budget_report report;
    return securemem_budget(&report) == 0 && report.lock_unlimited;
}

static size_t mapping_limit(void)
{
    securemem_budget_report report;
    return securemem_budget(&report) == 0 ? report.mapping_limit : 0;
}

static size_t alloc_until_refused(securemem_arena *arena, size_t most)
{
    size_t n = 0;
    while (n < most && (secrets[n] = securemem_arena_alloc(arena, SIZE)) != NULL)
        n++;
    return n;
}

static int fill_with_prot_none(void *argument)
{
    (void)argument;
    size_t limit = mapping_limit();
    if (!may_lock_much() || limit > 2 * ASKED)
        return SKIP_EXIT;
    smaps_make_room(3 * ASKED);
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    NEED(arena != NULL);
    size_t n = alloc_until_refused(arena, ASKED);
    NEED(n < ASKED && errno == ENOMEM);
    const securemem_error *error = securemem_last_error();
    NEED(error->code == ENOMEM && error->limit == limit);
    NEED(error->in_use + 2 >= limit && error->in_use <= limit + 1);
    NEED(strstr(error->message, "vm.max_map_count") != NULL);
    NEED(strstr(error->message, "raise") != NULL);

    struct many many;
    many_look(secrets, n, &many);
    NEED(many.guarded == n && many.locked == n);
    NEED(many.not_dumped == n && many.wiped == n);
    /* Two mappings a secret: it is not refused long before the limit. */
    NEED(2 * n + 1000 > limit);
    printf("NOTE: of %d secrets asked for with PROT_NONE guards %zu were given, all "
           "guarded\n",
           ASKED, n);

    securemem_free(secrets[--n]);
    securemem_free(secrets[--n]);
    NEED((secrets[n++] = securemem_arena_alloc(arena, SIZE)) != NULL);
    many_look(secrets, n, &many);
    NEED(many.guarded == n && many.locked == n);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == 0);
    return fflush(stdout);
}

static void at_the_mapping_limit_no_secret_is_without_its_guards(void **state)
{
    (void)state;
    if (child_skips(fill_with_prot_none, NULL))
        SKIP("needs CAP_IPC_LOCK and a vm.max_map_count that 40,000 secrets exceed");
}

/* The control: an allocator that does not look at its mprotect. */
static int fill_with_sodium(void *argument)
{
    (void)argument;
    if (sodium_init() < 0 || !may_lock_much())
        return SKIP_EXIT;
    smaps_make_room(3 * ASKED);
    size_t n = 0;
    while (n < ASKED && (secrets[n] = sodium_malloc(SIZE)) != NULL)
        n++;
    struct many many;
    many_look(secrets, n, &many);
    printf("NOTE: control: sodium_malloc gave %zu of %d, %zu without guards, %zu not "
           "locked\n",
           n, ASKED, n - many.guarded, n - many.locked);
    return fflush(stdout);
}

/* How it ends depends on libsodium's version: it is told, not asserted. */
static void what_libsodium_does_at_the_mapping_limit_is_told(void **state)
{
    (void)state;
    struct child_end end;
    child_run(fill_with_sodium, NULL, &end);
    if (end.exit_code == SKIP_EXIT)
        SKIP("needs CAP_IPC_LOCK");
    if (end.exit_code != 0)
        printf("NOTE: control: sodium_malloc ends with signal %d\n", end.signal);
}

static void a_missing_guard_is_seen(void **state)
{
    (void)state;
    size_t page = view_page_size();
    char *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    void *secret[] = {map + page};
    struct many many;
    for (int missing = 0; missing < 3; missing++) {
        assert_int_equal(mprotect(map, 3 * page, PROT_NONE), 0);
        assert_int_equal(mprotect(map + page, page, PROT_READ | PROT_WRITE), 0);
        if (missing > 0)
            assert_int_equal(
                mprotect(map + (size_t)(missing - 1) * 2 * page, page, PROT_READ), 0);
        many_look(secret, 1, &many);
        assert_int_equal(many.guarded, missing == 0);
        assert_int_equal(many_probe_guards(secret, 1), missing == 0);
        assert_int_equal(many.locked, 0);
    }
    munmap(map, 3 * page);
}

/* Many guarded secrets in an arena of default options, in few mappings. */
static int fill_with_auto(void *argument)
{
    size_t asked = *(size_t *)argument;
    if (!may_lock_much())
        return SKIP_EXIT;
    securemem_arena *arena = securemem_arena_create(NULL);
    NEED(arena != NULL);
    (void)smaps_read(); /* its table, before mappings are counted */
    size_t mappings = view_mappings(), locked = view_locked_bytes();
    NEED(alloc_until_refused(arena, asked) == asked);
    size_t more = view_mappings() - mappings;
    struct many many;
    many_look(secrets, asked, &many);
    NEED(many.locked == asked && many.not_dumped == asked && many.wiped == asked);
    NEED(many_probe_guards(secrets, asked) == asked);
    NEED(view_locked_bytes() - locked >= asked * view_page_size());
    securemem_protection says;
    NEED(securemem_protection(secrets[asked - 1], &says) == 0);
    if (says.guard_kind != SECUREMEM_GUARDS_REGION)
        return SKIP_EXIT;
    NEED(smaps_at(secrets[0])->guarded && smaps_at(secrets[asked - 1])->guarded);
    printf("NOTE: %zu guarded and locked secrets in %zu mappings\n", asked, more);
    NEED(more <= MOST_MAPPINGS);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == locked);
    NEED(view_mappings() <= mappings + MOST_MAPPINGS);
    return fflush(stdout);
}

static void with_default_options_40000_secrets_are_all_guarded(void **state)
{
    (void)state;
    size_t asked = ASKED;
    if (!view_guard_regions_exist() || child_skips(fill_with_auto, &asked))
        SKIP("needs CAP_IPC_LOCK and guard regions (Linux 6.13)");
}

static void a_hundred_thousand_secrets_take_at_most_64_mappings(void **state)
{
    (void)state;
    size_t asked = VERY_MANY;
    if (!view_guard_regions_exist() || child_skips(fill_with_auto, &asked))
        SKIP("needs CAP_IPC_LOCK and guard regions (Linux 6.13)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_guard_is_seen),
        cmocka_unit_test(at_the_mapping_limit_no_secret_is_without_its_guards),
        cmocka_unit_test(what_libsodium_does_at_the_mapping_limit_is_told),
        cmocka_unit_test(with_default_options_40000_secrets_are_all_guarded),
        cmocka_unit_test(a_hundred_thousand_secrets_take_at_most_64_mappings),
    };
    return RUN_GROUP(tests);
}
