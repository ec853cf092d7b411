/* SPDX-License-Identifier: ISC */
/*
 * Arenas that would have a protection key and have none: mprotect(2) stands in for it. The
 * same calls, with the whole process's rights; smaps is the witness.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/keys.h"
#include "support/seccomp.h"
#include "unit/unit.h"

#define SIZE  100
#define MOST  300
#define KINDS 5

static size_t many; /* of MOST */

/* Each way in which secrets lie. */
static securemem_arena_options kind(size_t i)
{
    const securemem_arena_options kinds[KINDS] = {
        {.guard_kind = SECUREMEM_GUARDS_PROT_NONE},
        {.guard_kind = SECUREMEM_GUARDS_REGION, .guards = SECUREMEM_PREFERRED},
        {.guards = SECUREMEM_OFF},
        {.placement = SECUREMEM_PACKED},
        {.placement = SECUREMEM_PACKED, .canaries = SECUREMEM_OFF, .idle = SIZE_MAX},
    };
    securemem_arena_options options = kinds[i];
    options.protection_key = SECUREMEM_PREFERRED;
    return options;
}

/* Where there are keys, others have them. */
static void use_up_keys(void)
{
    for (size_t left = keys_left(); left > 0; left--)
        assert_true(syscall(SYS_pkey_alloc, 0UL, 0UL) > 0);
}

static unsigned char *filled(securemem_arena *arena, size_t size)
{
    unsigned char *secret = securemem_arena_alloc(arena, size);
    assert_non_null(secret);
    assert_int_equal(securemem_arena_open(arena, SECUREMEM_WRITE), 0);
    memset(secret, 0x5a, size);
    assert_int_equal(securemem_arena_close(arena), 0);
    return secret;
}

/* This thread caches secrets of other arenas. */
static void begin_caching(void)
{
    securemem_arena *plain = arena_of(
        (securemem_arena_options){.placement = SECUREMEM_PACKED, .idle = SIZE_MAX});
    securemem_free(securemem_arena_alloc(plain, SIZE));
    securemem_arena_destroy(plain);
}

static bool is_closed(const void *secret)
{
    return permissions_are(secret, "---p");
}

/* Secrets of whole pages, between guards that are pages: one stretch for the kernel. */
static void guards_stay_closed_when_a_scope_opens(void **state)
{
    (void)state;
    size_t page = view_page_size();
    for (size_t k = 0; k < 2; k++) {
        securemem_arena *arena = arena_of(kind(k));
        char *secrets[8];
        for (size_t i = 0; i < COUNT(secrets); i++)
            assert_non_null(secrets[i] = securemem_arena_alloc(arena, page));
        securemem_protection report;
        assert_int_equal(securemem_protection(secrets[0], &report), 0);
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_WRITE), 0);
        for (size_t i = 0; i < COUNT(secrets) && report.guards.holds; i++) {
            assert_true(view_readable(secrets[i]));
            assert_false(view_readable(secrets[i] - 1));
            assert_false(view_readable(secrets[i] + page));
        }
        assert_int_equal(securemem_arena_close(arena), 0);
        securemem_arena_destroy(arena);
    }
}

static void scopes_open_every_secret_and_the_last_closes_them(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        securemem_arena *arena = arena_of(kind(k));
        unsigned char *secrets[MOST];
        for (size_t i = 0; i < many; i++)
            assert_true(is_closed(secrets[i] = securemem_arena_alloc(arena, SIZE)));
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
        for (size_t i = 0; i < many; i++)
            assert_true(permissions_are(secrets[i], "r--p"));
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_WRITE), 0);
        for (size_t i = 0; i < many; i++)
            memset(secrets[i], 1, SIZE);
        unsigned char *later = securemem_arena_alloc(arena, SIZE);
        assert_true(permissions_are(later, "rw-p"));
        assert_int_equal(securemem_arena_close(arena), 0);
        assert_true(permissions_are(secrets[0], "rw-p")); /* never shrinks in a scope */
        assert_int_equal(securemem_arena_close(arena), 0);
        for (size_t i = 0; i < many; i++)
            assert_true(is_closed(secrets[i]));
        assert_true(is_closed(later));
        assert_int_equal(securemem_arena_close(arena), -EINVAL);
        securemem_arena_destroy(arena);
    }
}

static int touch(void *secret)
{
    return *(volatile unsigned char *)secret == 0xff;
}

static void a_touch_outside_of_a_scope_faults(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        securemem_arena *arena = arena_of(kind(k));
        unsigned char *secret = filled(arena, SIZE);
        struct child_end end;
        child_run(touch, secret, &end);
        assert_int_equal(end.signal, SIGSEGV);
        assert_int_equal(end.fault, (uintptr_t)secret);
        assert_int_equal(end.fault_code, SEGV_ACCERR);
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
        child_run(touch, secret, &end);
        assert_int_equal(end.exit_code, 0);
        securemem_arena_destroy(arena);
    }
}

/* What the library does with closed secrets. */
static void closed_secrets_are_moved_copied_wiped_and_freed(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        securemem_arena *arena = arena_of(kind(k));
        unsigned char *secrets[MOST];
        for (size_t i = 0; i < many; i++)
            secrets[i] = filled(arena, SIZE);
        for (size_t i = 0; i < many; i += 2) {
            securemem_free(secrets[i]);
            assert_true(is_closed(secrets[i + 1]));
        }
        unsigned char *grown = securemem_realloc(secrets[1], SIZE + 2);
        assert_true(grown != NULL && is_closed(grown));
        grown = securemem_realloc(grown, 3 * view_page_size());
        assert_true(grown != NULL && is_closed(grown));
        unsigned char *copy = securemem_dup(secrets[3]);
        assert_true(copy != NULL && is_closed(copy) && is_closed(secrets[3]));
        assert_int_equal(securemem_arena_check(arena), 0);
        assert_int_equal(securemem_arena_trim(arena), 0);

        assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
        assert_int_equal(securemem_arena_check(arena), 0);
        assert_true(all_bytes_are(grown, SIZE, 0x5a) && all_bytes_are(copy, SIZE, 0x5a));
        assert_true(all_bytes_are(grown + SIZE, 3 * view_page_size() - SIZE, 0));
        for (size_t i = 3; i < many; i += 2)
            assert_true(all_bytes_are(secrets[i], SIZE, 0x5a));
        assert_int_equal(securemem_arena_close(arena), 0);

        assert_int_equal(securemem_wipe_all(), 0);
        assert_true(is_closed(copy));
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
        assert_true(all_bytes_are(copy, SIZE, 0) && all_bytes_are(grown, SIZE, 0));
        securemem_arena_destroy(arena);
    }
}

static void a_secret_has_no_scopes_of_its_own_there(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        securemem_arena *arena = arena_of(kind(k));
        unsigned char *secret = filled(arena, SIZE);
        assert_int_equal(securemem_open(secret, SECUREMEM_READ), -ENOTSUP);
        assert_non_null(strstr(securemem_last_error()->message, "securemem_arena_open"));
        assert_int_equal(securemem_close(secret), -ENOTSUP);
        assert_int_equal(securemem_set_access(secret, SECUREMEM_WRITE), -ENOTSUP);
        assert_true(is_closed(secret));
        securemem_arena_destroy(arena);
    }
}

static void the_report_says_that_pages_stand_in(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        securemem_arena *arena = arena_of(kind(k));
        unsigned char *secret = filled(arena, SIZE);
        for (int opened = SECUREMEM_NONE; opened <= SECUREMEM_WRITE; opened++) {
            if (opened != SECUREMEM_NONE)
                assert_int_equal(securemem_arena_open(arena, (securemem_access)opened),
                                 0);
            securemem_protection says;
            assert_int_equal(securemem_protection(secret, &says), 0);
            assert_int_equal(says.protection_key.asked, SECUREMEM_PREFERRED);
            assert_int_equal(says.protection_key.holds, 0);
            assert_int_equal(says.protection_key.refused,
                             keys_in_processor() ? ENOSPC : ENOTSUP);
            assert_true(says.key == 0 && says.lock.holds);
            assert_int_equal(says.access, opened);
            assert_int_equal(says.resting_access, SECUREMEM_NONE);
            assert_int_equal(says.open_scopes, opened != SECUREMEM_NONE);
            if (opened != SECUREMEM_NONE)
                assert_int_equal(securemem_arena_close(arena), 0);
        }
        securemem_arena_destroy(arena);
    }
}

struct family {
    securemem_arena *arena;
    unsigned char *secret;
    bool kept;
};

static int look_in_child(void *argument)
{
    const struct family *family = argument;
    NEED(is_closed(family->secret));
    unsigned char *own = securemem_arena_alloc(family->arena, SIZE);
    NEED(own != NULL && is_closed(own));
    NEED(securemem_arena_open(family->arena, SECUREMEM_WRITE) == 0);
    NEED(all_bytes_are(family->secret, SIZE, family->kept ? 0x5a : 0));
    memset(family->secret, 2, SIZE);
    NEED(securemem_arena_check(family->arena) == 0);
    NEED(securemem_arena_close(family->arena) == 0);
    NEED(is_closed(family->secret));
    securemem_free(family->secret);
    securemem_arena_destroy(family->arena);
    return 0;
}

static void a_child_finds_it_closed(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++)
        for (int keep = 0; keep < 2; keep++) {
            securemem_arena_options options = kind(k);
            options.fork = keep ? SECUREMEM_FORK_KEEP : SECUREMEM_FORK_WIPE;
            struct family family = {.arena = arena_of(options), .kept = keep};
            family.secret = filled(family.arena, SIZE);
            CHILD_PASSES(look_in_child, &family);
            assert_int_equal(securemem_arena_open(family.arena, SECUREMEM_READ), 0);
            assert_true(all_bytes_are(family.secret, SIZE, 0x5a));
            securemem_arena_destroy(family.arena);
        }
}

static void note_misuse(const securemem_misuse *misuse, void *user)
{
    *(securemem_misuse_kind *)user = misuse->kind;
}

static void an_overrun_is_found_behind_it_too(void **state)
{
    (void)state;
    securemem_misuse_kind seen = SECUREMEM_MISUSE_DOUBLE_FREE;
    securemem_set_misuse_handler(note_misuse, &seen);
    securemem_arena *arena = arena_of(kind(3));
    unsigned char *first = filled(arena, SIZE), *second = filled(arena, SIZE);
    assert_int_equal(securemem_arena_open(arena, SECUREMEM_WRITE), 0);
    first[SIZE] = first[SIZE] == 1 ? 2 : 1; /* a wiper would have left a zero */
    assert_int_equal(securemem_arena_close(arena), 0);
    securemem_free(first);
    assert_int_equal(seen, SECUREMEM_MISUSE_CANARY);
    securemem_set_misuse_handler(NULL, NULL);
    assert_true(is_closed(second));
    securemem_arena_destroy(arena);
}

/* Many secrets of a region are opened by few calls, so that they stay few mappings. */
static void many_secrets_are_few_mappings_open_and_closed(void **state)
{
    (void)state;
    for (size_t k = 3; k < KINDS; k++) {
        securemem_arena *arena = arena_of(kind(k));
        for (size_t i = 0, count = paced(20000); i < count; i++)
            assert_non_null(securemem_arena_alloc(arena, 32));
        size_t closed = view_mappings();
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
        assert_in_range(view_mappings(), 1, closed + 16);
        assert_int_equal(securemem_arena_close(arena), 0);
        assert_in_range(view_mappings(), 1, closed);
        securemem_arena_destroy(arena);
    }
}

/* A door that the kernel does not let open stays closed, and one that it lets not close
 * says so. */
static int be_refused(void *argument)
{
    securemem_arena *arena = securemem_arena_create(argument);
    unsigned char *secret = arena == NULL ? NULL : securemem_arena_alloc(arena, SIZE);
    NEED(secret != NULL && is_closed(secret));
    if (!seccomp_answer(SYS_mprotect, EPERM))
        return SKIP_EXIT;
    NEED(securemem_arena_open(arena, SECUREMEM_READ) == -EPERM);
    NEED(is_closed(secret));
    NEED(strstr(securemem_last_error()->message, "mprotect") != NULL);
    NEED(securemem_arena_close(arena) == -EINVAL);
    NEED(securemem_realloc(secret, 3000) == NULL && errno == EPERM);
    return 0;
}

static int stay_open(void *argument)
{
    securemem_arena *arena = securemem_arena_create(argument);
    unsigned char *secret = arena == NULL ? NULL : securemem_arena_alloc(arena, SIZE);
    NEED(secret != NULL && securemem_arena_open(arena, SECUREMEM_WRITE) == 0);
    if (!seccomp_answer(SYS_mprotect, EPERM))
        return SKIP_EXIT;
    NEED(securemem_arena_close(arena) == -EPERM);
    securemem_protection says;
    NEED(securemem_protection(secret, &says) == 0);
    NEED(says.access == SECUREMEM_WRITE && says.open_scopes == 1);
    NEED(permissions_are(secret, "rw-p"));
    return 0;
}

static void a_refused_mprotect_is_told(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        securemem_arena_options options = kind(k);
        CHILD_PASSES(be_refused, &options);
        CHILD_PASSES(stay_open, &options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guards_stay_closed_when_a_scope_opens),
        cmocka_unit_test(scopes_open_every_secret_and_the_last_closes_them),
        cmocka_unit_test(a_touch_outside_of_a_scope_faults),
        cmocka_unit_test(closed_secrets_are_moved_copied_wiped_and_freed),
        cmocka_unit_test(a_secret_has_no_scopes_of_its_own_there),
        cmocka_unit_test(the_report_says_that_pages_stand_in),
        cmocka_unit_test(a_child_finds_it_closed),
        cmocka_unit_test(an_overrun_is_found_behind_it_too),
        cmocka_unit_test(many_secrets_are_few_mappings_open_and_closed),
        cmocka_unit_test(a_refused_mprotect_is_told),
    };
    many = 2 * paced(MOST / 2);
    use_up_keys();
    begin_caching();
    return RUN_GROUP(tests);
}
