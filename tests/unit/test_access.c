/* SPDX-License-Identifier: ISC */
/* Access: resting, scopes that nest and count, what is refused, what faults. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "unit/unit.h"

static const char *const permissions[] = {"---p", "r--p", "rw-p"};

static securemem_protection report_of(const void *secret)
{
    securemem_protection report;
    assert_int_equal(securemem_protection(secret, &report), 0);
    return report;
}

static char *secret_with(securemem_access access)
{
    char *secret = securemem_alloc(32);
    assert_non_null(secret);
    memset(secret, 1, 32);
    assert_int_equal(securemem_set_access(secret, access), 0);
    return secret;
}

static void resting_access_is_what_the_pages_allow(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++) {
        securemem_arena *arena =
            arena_of((securemem_arena_options){.guard_kind = kinds[k]});
        char *secret = securemem_arena_alloc(arena, 2 * view_page_size());
        assert_non_null(secret);
        for (int from = SECUREMEM_NONE; from <= SECUREMEM_WRITE; from++)
            for (int to = SECUREMEM_NONE; to <= SECUREMEM_WRITE; to++) {
                assert_int_equal(securemem_set_access(secret, (securemem_access)from), 0);
                assert_int_equal(securemem_set_access(secret, (securemem_access)to), 0);
                assert_true(permissions_are(secret, permissions[to]));
                assert_true(permissions_are(secret + view_page_size(), permissions[to]));
                assert_int_equal(report_of(secret).access, to);
                assert_int_equal(report_of(secret).resting_access, to);
            }
        securemem_free(secret);
        securemem_arena_destroy(arena);
    }
}

static void scopes_nest_and_the_last_close_returns_to_rest(void **state)
{
    (void)state;
    for (int rest = SECUREMEM_NONE; rest <= SECUREMEM_WRITE; rest++) {
        char *secret = secret_with((securemem_access)rest);
        int reads = rest > SECUREMEM_READ ? rest : SECUREMEM_READ;
        assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
        assert_true(permissions_are(secret, permissions[reads]));
        assert_int_equal(securemem_open(secret, SECUREMEM_WRITE), 0);
        assert_true(permissions_are(secret, "rw-p"));
        secret[0] = 2;
        assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
        assert_true(permissions_are(secret, "rw-p"));
        assert_int_equal(report_of(secret).open_scopes, 3);
        assert_int_equal(securemem_close(secret), 0);
        assert_int_equal(securemem_close(secret), 0);
        assert_true(permissions_are(secret, "rw-p"));
        assert_int_equal(report_of(secret).open_scopes, 1);
        assert_int_equal(securemem_close(secret), 0);
        assert_true(permissions_are(secret, permissions[rest]));
        assert_int_equal(report_of(secret).access, rest);
        securemem_free(secret);
    }
}

static void resting_access_set_while_open_waits_unless_it_allows_more(void **state)
{
    (void)state;
    char *secret = secret_with(SECUREMEM_WRITE);
    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
    assert_true(permissions_are(secret, "rw-p"));
    assert_int_equal(securemem_close(secret), 0);
    assert_true(permissions_are(secret, "---p"));

    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_WRITE), 0);
    assert_true(permissions_are(secret, "rw-p"));
    assert_int_equal(report_of(secret).resting_access, SECUREMEM_WRITE);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_READ), 0);
    assert_true(permissions_are(secret, "rw-p"));
    assert_int_equal(securemem_close(secret), 0);
    assert_true(permissions_are(secret, "r--p"));
    securemem_free(secret);
}

static void a_close_without_an_open_is_refused(void **state)
{
    (void)state;
    char *secret = secret_with(SECUREMEM_READ);
    assert_int_equal(securemem_close(secret), -EINVAL);
    assert_non_null(strstr(securemem_last_error()->message, "no scope"));
    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_int_equal(securemem_close(secret), 0);
    assert_int_equal(securemem_close(secret), -EINVAL);
    assert_true(permissions_are(secret, "r--p"));
    securemem_free(secret);
}

#define MOST_SCOPES 65535

static void more_scopes_than_can_be_counted_are_refused(void **state)
{
    (void)state;
    char *secret = secret_with(SECUREMEM_NONE);
    for (int i = 0; i < MOST_SCOPES; i++)
        assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_int_equal(securemem_open(secret, SECUREMEM_WRITE), -EOVERFLOW);
    assert_int_equal(securemem_last_error()->code, EOVERFLOW);
    assert_true(permissions_are(secret, "r--p"));
    for (int i = 0; i < MOST_SCOPES; i++)
        assert_int_equal(securemem_close(secret), 0);
    assert_true(permissions_are(secret, "---p"));
    securemem_free(secret);
}

static void expect_refusal(void *pointer, const char *why)
{
    int (*const calls[])(void *, securemem_access) = {securemem_set_access,
                                                      securemem_open};
    for (size_t i = 0; i < COUNT(calls); i++) {
        assert_int_equal(calls[i](pointer, SECUREMEM_READ), -EINVAL);
        assert_int_equal(securemem_last_error()->code, EINVAL);
        assert_non_null(strstr(securemem_last_error()->message, why));
    }
    assert_int_equal(securemem_close(pointer), -EINVAL);
    assert_non_null(strstr(securemem_last_error()->message, why));
}

static void what_is_not_a_secret_is_refused_and_the_message_says_why(void **state)
{
    (void)state;
    int local = 0;
    char *secret = secret_with(SECUREMEM_WRITE);
    char *freed = secret_with(SECUREMEM_WRITE);
    securemem_free(freed);
    expect_refusal(&local, "not a secret of this library");
    expect_refusal(secret + 1, "not the start of a secret");
    expect_refusal(secret - 1, "not the start of a secret");
    expect_refusal(freed, "was freed");
    expect_refusal(NULL, "not a secret of this library");
    assert_true(permissions_are(secret, "rw-p"));
    securemem_free(secret);
}

static void what_is_no_access_is_refused(void **state)
{
    (void)state;
    char *secret = secret_with(SECUREMEM_READ);
    const int none_such[] = {-1, 3, 4, 1 << 20};
    for (size_t i = 0; i < COUNT(none_such); i++) {
        securemem_access access = (securemem_access)none_such[i];
        assert_int_equal(securemem_set_access(secret, access), -EINVAL);
        assert_int_equal(securemem_open(secret, access), -EINVAL);
    }
    assert_int_equal(securemem_open(secret, SECUREMEM_NONE), -EINVAL);
    assert_int_equal(report_of(secret).open_scopes, 0);
    assert_true(permissions_are(secret, "r--p"));
    securemem_free(secret);
}

static int read_it(void *secret)
{
    return *(volatile char *)secret == 1 ? 0 : 1;
}

static int write_it(void *secret)
{
    *(volatile char *)secret = 1;
    return 0;
}

/* Kept in the child, so that the fault is the access's and not the fork policy's. */
static char *kept_secret(securemem_arena **arena, securemem_access access)
{
    *arena = arena_of((securemem_arena_options){.fork = SECUREMEM_FORK_KEEP});
    char *secret = securemem_arena_alloc(*arena, 32);
    assert_non_null(secret);
    memset(secret, 1, 32);
    assert_int_equal(securemem_set_access(secret, access), 0);
    return secret;
}

static void an_access_beyond_what_is_allowed_faults_at_its_address(void **state)
{
    (void)state;
    for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++) {
        securemem_arena *arena;
        char *secret = kept_secret(&arena, (securemem_access)access);
        struct child_end end;
        child_run(read_it, secret, &end);
        if (access == SECUREMEM_NONE) {
            assert_int_equal(end.signal, SIGSEGV);
            assert_int_equal(end.fault, (uintptr_t)secret);
        } else {
            assert_int_equal(end.exit_code, 0);
        }
        child_run(write_it, secret + 31, &end);
        if (access != SECUREMEM_WRITE) {
            assert_int_equal(end.signal, SIGSEGV);
            assert_int_equal(end.fault, (uintptr_t)secret + 31);
            assert_int_equal(end.fault_code, SEGV_ACCERR);
        } else {
            assert_int_equal(end.exit_code, 0);
        }
        securemem_arena_destroy(arena);
    }
}

#define THREADS 8
#define ROUNDS  1000

struct opener {
    pthread_t thread;
    char *secret;
    size_t number;
    int failures;
};

/* Each thread has a byte of its own, so that contents are nobody's race. */
static void *open_and_close(void *argument)
{
    struct opener *opener = argument;
    volatile char *byte = opener->secret + opener->number;
    for (int i = 0; i < ROUNDS; i++) {
        opener->failures += securemem_open(opener->secret, SECUREMEM_READ) != 0;
        char before = *byte;
        opener->failures += securemem_open(opener->secret, SECUREMEM_WRITE) != 0;
        *byte = (char)(before + 1);
        opener->failures += securemem_close(opener->secret) != 0;
        opener->failures += *byte != (char)(before + 1);
        opener->failures += securemem_close(opener->secret) != 0;
    }
    return NULL;
}

static void scopes_of_many_threads_balance(void **state)
{
    (void)state;
    char *secret = secret_with(SECUREMEM_NONE);
    struct opener openers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        openers[i] = (struct opener){.secret = secret, .number = i};
        assert_int_equal(
            pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(openers[i].thread, NULL), 0);
        assert_int_equal(openers[i].failures, 0);
    }
    assert_int_equal(report_of(secret).open_scopes, 0);
    assert_true(permissions_are(secret, "---p"));
    assert_int_equal(securemem_open(secret, SECUREMEM_READ), 0);
    assert_true(all_bytes_are(secret, THREADS, (unsigned char)(1 + ROUNDS)));
    assert_int_equal(securemem_close(secret), 0);
    securemem_free(secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resting_access_is_what_the_pages_allow),
        cmocka_unit_test(scopes_nest_and_the_last_close_returns_to_rest),
        cmocka_unit_test(resting_access_set_while_open_waits_unless_it_allows_more),
        cmocka_unit_test(a_close_without_an_open_is_refused),
        cmocka_unit_test(more_scopes_than_can_be_counted_are_refused),
        cmocka_unit_test(what_is_not_a_secret_is_refused_and_the_message_says_why),
        cmocka_unit_test(what_is_no_access_is_refused),
        cmocka_unit_test(an_access_beyond_what_is_allowed_faults_at_its_address),
        cmocka_unit_test(scopes_of_many_threads_balance),
    };
    return RUN_GROUP(tests);
}
