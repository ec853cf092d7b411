/* SPDX-License-Identifier: ISC */
/* Arenas of memfd_secret(2): what smaps says of them, and what policy says without it. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/seccomp.h"
#include "unit/unit.h"

#define SIZE           100
#define SYSCALL_SECRET 447

static const securemem_arena_options required = {
    .secret_memory = SECUREMEM_REQUIRED,
    .fork = SECUREMEM_FORK_DROP,
};

static securemem_arena_options with(securemem_arena_options options,
                                    securemem_placement placement)
{
    options.placement = placement;
    return options;
}

/* The kernel itself is asked, not the library. */
static bool kernel_has_it(void)
{
    long descriptor = syscall(SYSCALL_SECRET, 0);
    if (descriptor >= 0)
        close((int)descriptor);
    return descriptor >= 0;
}

#define NEED_SECRET_MEMORY()                                                             \
    do {                                                                                 \
        if (!kernel_has_it())                                                            \
            SKIP("this kernel has no memfd_secret(2), or refuses it");                   \
    } while (0)

/* Whether the mapping at address is one of memfd_secret(2). */
static bool is_secret_memory(const void *address)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && (uintptr_t)address >= start &&
            (uintptr_t)address < end)
            found = strstr(line, "/secretmem") != NULL;
    }
    fclose(maps);
    return found;
}

static size_t secret_mappings(void)
{
    char line[512];
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, "/secretmem") != NULL;
    fclose(maps);
    return count;
}

static void smaps_shows_secret_memory_and_the_report_says_the_same(void **state)
{
    (void)state;
    NEED_SECRET_MEMORY();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++) {
        securemem_arena *arena = arena_of(with(required, (securemem_placement)p));
        size_t descriptors = view_descriptors();
        unsigned char *secret = securemem_arena_alloc(arena, SIZE);
        if (secret == NULL)
            print_error("%s\n", securemem_last_error()->message);
        assert_non_null(secret);
        assert_true(all_bytes_are(secret, SIZE, 0));
        memset(secret, 0x5a, SIZE);
        struct view view;
        assert_true(is_secret_memory(secret) && view_at(secret, &view));
        assert_true(view_has(&view, "lo") && view_has(&view, "dd"));
        assert_true(view_has(&view, "dc"));
        assert_int_equal(view_descriptors(), descriptors); /* closed after mapping */
        char *page = (char *)((uintptr_t)secret / view_page_size() * view_page_size());
        assert_false(view_readable(page - 1));
        if (p == SECUREMEM_GUARDED)
            assert_false(view_readable(page + view_page_size()));

        securemem_protection says;
        assert_int_equal(securemem_protection(secret, &says), 0);
        assert_int_equal(says.secret_memory.asked, SECUREMEM_REQUIRED);
        assert_true(says.secret_memory.holds && says.lock.holds && says.guards.holds);
        assert_true(says.no_dump.holds && says.fork_safety.holds && says.no_merge.holds);
        assert_int_equal(says.guard_kind, SECUREMEM_GUARDS_PROT_NONE);
        securemem_arena_destroy(arena);
    }
    assert_int_equal(secret_mappings(), 0);
}

static void ordinary_arenas_have_none_of_it(void **state)
{
    (void)state;
    unsigned char *secret = securemem_alloc(SIZE);
    securemem_protection says;
    assert_int_equal(securemem_protection(secret, &says), 0);
    assert_int_equal(says.secret_memory.asked, SECUREMEM_OFF);
    assert_false(says.secret_memory.holds);
    assert_false(is_secret_memory(secret));
    securemem_free(secret);
    assert_int_equal(secret_mappings(), 0);
}

static void what_it_cannot_be_is_refused(void **state)
{
    (void)state;
    const securemem_arena_options unfit[] = {
        {.secret_memory = SECUREMEM_REQUIRED},
        {.secret_memory = SECUREMEM_PREFERRED},
        {.secret_memory = SECUREMEM_REQUIRED, .fork = SECUREMEM_FORK_KEEP},
        {.secret_memory = SECUREMEM_REQUIRED,
         .fork = SECUREMEM_FORK_DROP,
         .fork_safety = SECUREMEM_OFF},
        {.secret_memory = SECUREMEM_REQUIRED,
         .fork = SECUREMEM_FORK_DROP,
         .fork_safety = SECUREMEM_PREFERRED},
        {.secret_memory = SECUREMEM_REQUIRED,
         .fork = SECUREMEM_FORK_DROP,
         .guard_kind = SECUREMEM_GUARDS_REGION},
        {.secret_memory = (securemem_policy)4, .fork = SECUREMEM_FORK_DROP},
        {.reserved = {1}},
    };
    for (size_t i = 0; i < COUNT(unfit); i++) {
        errno = 0;
        assert_null(securemem_arena_create(&unfit[i]));
        assert_int_equal(errno, EINVAL);
    }
    assert_non_null(strstr(securemem_last_error()->message, ".reserved"));
}

/* What is done to ordinary secrets, done to these. */
static void everything_works_on_it(void **state)
{
    (void)state;
    NEED_SECRET_MEMORY();
    size_t page = view_page_size();
    const size_t sizes[] = {0, 1, 64, page, 3 * page + 5};
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            securemem_arena *arena = arena_of(with(required, (securemem_placement)p));
            unsigned char *secret = securemem_arena_alloc(arena, sizes[i]);
            assert_non_null(secret);
            memset(secret, 0x77, sizes[i]);
            unsigned char *copy = securemem_dup(secret);
            assert_non_null(copy);
            secret = securemem_realloc(secret, sizes[i] + 3000);
            assert_non_null(secret);
            assert_true(all_bytes_are(secret, sizes[i], 0x77));
            assert_true(all_bytes_are(secret + sizes[i], 3000, 0));
            assert_true(is_secret_memory(secret));
            securemem_protection says;
            assert_int_equal(securemem_protection(secret, &says), 0);
            if (says.placement == SECUREMEM_GUARDED) {
                assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
                assert_false(view_readable(secret));
                assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
                assert_true(view_readable(secret));
                assert_int_equal(securemem_close(secret), 0);
                assert_false(view_readable(secret));
            }
            assert_int_equal(securemem_arena_check(arena), 0);
            assert_int_equal(securemem_wipe_all(), 0);
            assert_true(all_bytes_are(copy, sizes[i], 0));
            securemem_free(secret);
            securemem_free(copy);
            securemem_arena_destroy(arena);
        }
    assert_int_equal(secret_mappings(), 0);
}

static void what_is_given_back_is_unmapped_and_no_longer_charged(void **state)
{
    (void)state;
    NEED_SECRET_MEMORY();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++) {
        size_t locked = view_locked_bytes(), charged = budget_now().charged;
        securemem_arena_options options = with(required, (securemem_placement)p);
        options.idle = SIZE_MAX;
        securemem_arena *arena = arena_of(options);
        void *secrets[200];
        for (size_t i = 0; i < COUNT(secrets); i++) {
            secrets[i] = securemem_arena_alloc(arena, SIZE);
            assert_non_null(secrets[i]);
        }
        assert_int_equal(view_locked_bytes() - locked, budget_now().charged - charged);
        assert_true(view_locked_bytes() > locked);
        for (size_t i = 0; i < COUNT(secrets); i++)
            securemem_free(secrets[i]);
        assert_true(secret_mappings() > 0); /* idle */
        assert_int_equal(securemem_arena_trim(arena), 0);
        assert_int_equal(secret_mappings(), 0);
        assert_int_equal(view_locked_bytes(), locked);
        assert_int_equal(budget_now().charged, charged);
        unsigned char *again = securemem_arena_alloc(arena, SIZE);
        assert_non_null(again);
        assert_true(all_bytes_are(again, SIZE, 0) && is_secret_memory(again));
        securemem_arena_destroy(arena);
    }
}

static unsigned char *inherited;

static int touch(void *argument)
{
    (void)argument;
    return *(volatile unsigned char *)inherited;
}

static int free_in_child(void *argument)
{
    securemem_protection says;
    NEED(securemem_protection(inherited, &says) == 0);
    NEED(says.inheritance == SECUREMEM_DROPPED && says.access == SECUREMEM_NONE);
    securemem_free(inherited);
    unsigned char *own = securemem_arena_alloc(argument, SIZE);
    NEED(own != NULL && own != inherited);
    memset(own, 1, SIZE);
    NEED(securemem_protection(own, &says) == 0 && says.secret_memory.holds == 1);
    securemem_arena_destroy(argument);
    return 0;
}

static void a_child_has_none_of_it_and_can_make_its_own(void **state)
{
    (void)state;
    NEED_SECRET_MEMORY();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++) {
        securemem_arena *arena = arena_of(with(required, (securemem_placement)p));
        inherited = securemem_arena_alloc(arena, SIZE);
        assert_non_null(inherited);
        memset(inherited, 7, SIZE);
        struct child_end end;
        child_run(touch, NULL, &end);
        if (IS_TSAN && end.exit_code == 0)
            continue;
        assert_int_equal(end.signal, SIGSEGV);
        assert_int_equal(end.fault, (uintptr_t)inherited);
        CHILD_PASSES(free_in_child, arena);
        assert_true(all_bytes_are(inherited, SIZE, 7)); /* it is shared with nobody */
        securemem_arena_destroy(arena);
    }
}

/* The whole of what a limit of 16 pages has, then a refusal that names it. */
static int fill_the_limit(void *argument)
{
    const securemem_placement *placement = argument;
    if (!child_become_ordinary(16 * view_page_size()))
        return SKIP_EXIT;
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.secret_memory = SECUREMEM_REQUIRED,
                                   .fork = SECUREMEM_FORK_DROP,
                                   .placement = *placement});
    NEED(arena != NULL);
    unsigned char *secret, *last = NULL;
    size_t count = 0;
    while ((secret = securemem_arena_alloc(arena, 1000)) != NULL) {
        memset(secret, 3, 1000);
        last = secret;
        count++;
    }
    NEED(errno == ENOMEM && last != NULL);
    NEED(strstr(securemem_last_error()->message, "RLIMIT_MEMLOCK") != NULL);
    NEED(securemem_last_error()->limit == 16 * view_page_size());
    NEED(view_locked_bytes() == 16 * view_page_size());
    NEED(count >= (*placement == SECUREMEM_GUARDED ? 16U : 48U));
    NEED(last[999] == 3);
    securemem_free(last);
    NEED(*placement == SECUREMEM_PACKED || securemem_arena_alloc(arena, 1000) != NULL);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void the_lock_limit_is_used_to_its_end_and_named(void **state)
{
    (void)state;
    NEED_SECRET_MEMORY();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        CHILD_PASSES(fill_the_limit, &(securemem_placement){(securemem_placement)p});
}

/* A kernel without it, and a sandbox that forbids it. */
static int live_without(void *argument)
{
    int error = *(const int *)argument;
    if (!seccomp_answer(SYSCALL_SECRET, error))
        return SKIP_EXIT;
    securemem_arena_options options = required;
    securemem_arena *arena = securemem_arena_create(&options);
    NEED(arena != NULL);
    NEED(securemem_arena_alloc(arena, SIZE) == NULL);
    NEED(errno == (error == ENOSYS ? ENOTSUP : EPERM));
    NEED(securemem_last_error()->kernel_code == error);
    NEED(strstr(securemem_last_error()->message, "memfd_secret") != NULL);
    securemem_arena_destroy(arena);

    options.secret_memory = SECUREMEM_PREFERRED;
    arena = securemem_arena_create(&options);
    unsigned char *secret = securemem_arena_alloc(arena, SIZE);
    NEED(secret != NULL);
    securemem_protection says;
    NEED(securemem_protection(secret, &says) == 0);
    NEED(says.secret_memory.asked == SECUREMEM_PREFERRED && !says.secret_memory.holds);
    NEED(says.secret_memory.refused == (error == ENOSYS ? ENOTSUP : EPERM));
    NEED(says.lock.holds && says.guards.holds && says.no_dump.holds);
    NEED(says.fork_safety.holds && says.no_merge.holds);
    securemem_arena_destroy(arena);
    return 0;
}

static void without_it_the_policy_decides(void **state)
{
    (void)state;
    const int errors[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < COUNT(errors); i++)
        CHILD_PASSES(live_without, (void *)(uintptr_t)&errors[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smaps_shows_secret_memory_and_the_report_says_the_same),
        cmocka_unit_test(ordinary_arenas_have_none_of_it),
        cmocka_unit_test(what_it_cannot_be_is_refused),
        cmocka_unit_test(everything_works_on_it),
        cmocka_unit_test(what_is_given_back_is_unmapped_and_no_longer_charged),
        cmocka_unit_test(a_child_has_none_of_it_and_can_make_its_own),
        cmocka_unit_test(the_lock_limit_is_used_to_its_end_and_named),
        cmocka_unit_test(without_it_the_policy_decides),
    };
    return RUN_GROUP(tests);
}
