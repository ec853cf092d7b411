/* SPDX-License-Identifier: ISC */
/* Errors of the caller, told to a handler of the program's. test_abort.c has none. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

/* What the handler was told. */
struct told {
    unsigned calls;
    securemem_misuse_kind kind;
    const void *pointer;
    char message[256];
};

static struct told told;

static void on_misuse(const securemem_misuse *misuse, void *user)
{
    struct told *t = user;
    t->calls++;
    t->kind = misuse->kind;
    t->pointer = misuse->pointer;
    snprintf(t->message, sizeof t->message, "%s", misuse->message);
    errno = EBADF; /* free keeps errno whatever a handler does */
}

static int set_handler(void **state)
{
    (void)state;
    memset(&told, 0, sizeof told);
    securemem_set_misuse_handler(on_misuse, &told);
    return 0;
}

static void expect(securemem_misuse_kind kind, const void *pointer)
{
    char address[32];
    snprintf(address, sizeof address, "0x%lx", (unsigned long)(uintptr_t)pointer);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.kind, kind);
    assert_ptr_equal(told.pointer, pointer);
    assert_non_null(strstr(told.message, address));
    assert_null(strchr(told.message, '\n'));
    assert_null(strstr(told.message, "securemem: "));
    memset(&told, 0, sizeof told);
}

static securemem_arena *arena_with_idle(size_t idle)
{
    return arena_of((securemem_arena_options){.idle = idle});
}

static void a_second_free_is_told_whether_pages_are_left_or_not(void **state)
{
    (void)state;
    const size_t idle[] = {0, SIZE_MAX};
    for (size_t i = 0; i < COUNT(idle); i++)
        for (int neighbours = 0; neighbours < 2; neighbours++)
            for (size_t size = 0; size < 50; size += 49) {
                securemem_arena *arena = arena_with_idle(idle[i]);
                if (neighbours)
                    assert_non_null(securemem_arena_alloc(arena, 1));
                void *secret = securemem_arena_alloc(arena, size);
                assert_non_null(secret);
                securemem_free(secret);
                assert_int_equal(told.calls, 0);
                securemem_free(secret);
                expect(SECUREMEM_MISUSE_DOUBLE_FREE, secret);
                securemem_arena_free(arena, secret);
                expect(SECUREMEM_MISUSE_DOUBLE_FREE, secret);
                securemem_arena_destroy(arena);
                securemem_free(secret);
                expect(SECUREMEM_MISUSE_DOUBLE_FREE, secret);
            }
}

#define MANY       1000
#define REMEMBERED 512

/* misuse.h: the last 512 frees are remembered, in whatever order they were made. */
static void the_last_512_frees_are_remembered(void **state)
{
    (void)state;
    static void *secrets[MANY];
    for (int backwards = 0; backwards < 2; backwards++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .guard_kind = SECUREMEM_GUARDS_PROT_NONE, .lock = SECUREMEM_OFF});
        for (size_t i = 0; i < MANY; i++) {
            secrets[backwards ? MANY - 1 - i : i] = securemem_arena_alloc(arena, 8);
            assert_non_null(secrets[backwards ? MANY - 1 - i : i]);
        }
        for (size_t i = 0; i < MANY; i++)
            securemem_free(secrets[i]);
        for (size_t i = MANY - REMEMBERED; i < MANY; i++) {
            securemem_free(secrets[i]);
            expect(SECUREMEM_MISUSE_DOUBLE_FREE, secrets[i]);
        }
        securemem_arena_destroy(arena);
    }
}

static void secrets_that_ended_with_their_arena_are_freed(void **state)
{
    (void)state;
    securemem_arena *arena = arena_with_idle(0);
    void *first = securemem_arena_alloc(arena, 8), *last = NULL;
    for (int i = 0; i < 100; i++)
        last = securemem_arena_alloc(arena, 8);
    securemem_arena_destroy(arena);
    securemem_free(first);
    expect(SECUREMEM_MISUSE_DOUBLE_FREE, first);
    securemem_free(last);
    expect(SECUREMEM_MISUSE_DOUBLE_FREE, last);
}

static void pointers_that_are_no_secrets_are_told_apart(void **state)
{
    (void)state;
    int local = 0;
    char *secret = securemem_alloc(64);
    assert_non_null(secret);
    char *interior[] = {secret + 1,
                        secret - 1,
                        secret + 63,
                        secret + 64,
                        first_page(secret, 64),
                        first_page(secret, 64) - 1};
    for (size_t i = 0; i < COUNT(interior); i++) {
        securemem_free(interior[i]);
        expect(SECUREMEM_MISUSE_INTERIOR, interior[i]);
    }
    void *foreign[] = {&local, (void *)(uintptr_t)1, (void *)UINTPTR_MAX};
    for (size_t i = 0; i < COUNT(foreign); i++) {
        securemem_free(foreign[i]);
        expect(SECUREMEM_MISUSE_FOREIGN, foreign[i]);
    }
    memset(secret, 1, 64);
    assert_int_equal(securemem_size(secret), 64);
    securemem_free(secret);
    assert_int_equal(told.calls, 0);
}

static void a_free_in_the_wrong_arena_leaves_the_secret_alive(void **state)
{
    (void)state;
    securemem_arena *right = arena_with_idle(0), *wrong = arena_with_idle(0);
    char *secret = securemem_arena_alloc(right, 16);
    assert_non_null(secret);
    memset(secret, 7, 16);
    securemem_arena_free(wrong, secret);
    expect(SECUREMEM_MISUSE_WRONG_ARENA, secret);
    assert_true(all_bytes_are(secret, 16, 7));
    securemem_arena_free(right, secret);
    assert_int_equal(told.calls, 0);
    securemem_arena_destroy(wrong);
    securemem_arena_free(wrong, secret);
    expect(SECUREMEM_MISUSE_NOT_AN_ARENA, wrong);
    securemem_arena_destroy(right);
}

static void what_is_no_arena_cannot_be_destroyed(void **state)
{
    (void)state;
    int local = 0;
    securemem_arena *arena = arena_with_idle(0);
    securemem_arena_destroy(arena);
    assert_int_equal(told.calls, 0);
    securemem_arena *bad[] = {arena, (securemem_arena *)(void *)&local,
                              securemem_default_arena()};
    for (size_t i = 0; i < COUNT(bad); i++) {
        securemem_arena_destroy(bad[i]);
        expect(SECUREMEM_MISUSE_NOT_AN_ARENA, bad[i]);
    }
    void *secret = securemem_alloc(8); /* the default arena goes on */
    assert_non_null(secret);
    securemem_free(secret);
}

/* Offsets from the secret's start and from its end that are canary. */
static void every_canary_byte_is_looked_at(void **state)
{
    (void)state;
    size_t page = view_page_size(), size = 40, alignment = 64;
    ptrdiff_t padding = (ptrdiff_t)(alignment - size);
    for (ptrdiff_t at = -(ptrdiff_t)(page - alignment); at < (ptrdiff_t)size + padding;
         at += at < -20 ? 97 : 1) {
        if (at >= 0 && at < (ptrdiff_t)size)
            continue;
        securemem_arena *arena = arena_with_idle(0);
        char *secret = securemem_arena_alloc_aligned(arena, size, alignment);
        assert_non_null(secret);
        secret[at] ^= 0x10;
        securemem_free(secret);
        expect(SECUREMEM_MISUSE_CANARY, secret);
        assert_int_equal(securemem_size(secret), 0); /* freed all the same */
        securemem_arena_destroy(arena);
    }
}

static void a_broken_canary_is_seen_at_the_end_of_the_arena_and_by_realloc(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        securemem_arena *arena = arena_with_idle(0);
        size_t secrets = budget_now().secrets;
        assert_non_null(securemem_arena_alloc(arena, 40));
        char *secret = securemem_arena_alloc(arena, 40);
        assert_non_null(secret);
        secret[behind ? 40 : -1] = 0;
        assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
        securemem_arena_destroy(arena);
        expect(SECUREMEM_MISUSE_CANARY, secret);
        assert_int_equal(budget_now().secrets, secrets);

        secret = securemem_alloc(40);
        assert_non_null(secret);
        memset(secret, 5, 40);
        secret[behind ? 40 : -1] = 0;
        char *moved = securemem_realloc(secret, 50);
        expect(SECUREMEM_MISUSE_CANARY, secret);
        assert_non_null(moved);
        assert_true(all_bytes_are(moved, 40, 5));
        securemem_free(moved);
        assert_int_equal(told.calls, 0);
    }
}

static void null_is_nothing_and_errno_is_kept(void **state)
{
    (void)state;
    errno = ERANGE;
    securemem_free(NULL);
    securemem_arena_free(NULL, NULL);
    securemem_arena_destroy(NULL);
    assert_int_equal(told.calls, 0);
    assert_int_equal(errno, ERANGE);

    securemem_arena *arena = arena_with_idle(0);
    void *secret = securemem_arena_alloc(arena, 8), *other = securemem_alloc(8);
    assert_non_null(securemem_arena_alloc(arena, 8));
    errno = ERANGE;
    securemem_arena_free(arena, secret);
    securemem_free(other);
    assert_int_equal(errno, ERANGE);
    securemem_free(secret); /* misuse; the handler sets errno */
    expect(SECUREMEM_MISUSE_DOUBLE_FREE, secret);
    assert_int_equal(errno, ERANGE);
    securemem_arena_destroy(arena);
    assert_int_equal(errno, ERANGE);
    securemem_arena_destroy(arena);
    expect(SECUREMEM_MISUSE_NOT_AN_ARENA, arena);
    assert_int_equal(errno, ERANGE);
}

static jmp_buf back;

static void jump(const securemem_misuse *misuse, void *user)
{
    (void)misuse, (void)user;
    longjmp(back, 1);
}

static void a_handler_may_leave_by_longjmp(void **state)
{
    (void)state;
    int local = 0;
    securemem_set_misuse_handler(jump, NULL);
    if (setjmp(back) == 0) {
        securemem_free(&local);
        fail();
    }
    void *secret = securemem_alloc(8); /* no lock was left behind */
    assert_non_null(secret);
    securemem_free(secret);
}

static jmp_buf back;
static bool jumps;

/* What misuse.h allows: no lock is held, and nothing waits for its return. */
static void fork_or_jump(const securemem_misuse *misuse, void *user)
{
    (void)misuse;
    unsigned *calls = user;
    ++*calls;
    if (jumps)
        longjmp(back, 1);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    NEED(child > 0 && waitpid(child, NULL, 0) == child);
}

#define ARENAS 8 /* one of them at least is cached where another is */

/* A broken canary that is found when the slot leaves this thread's cache. */
static void break_cached_ones(void)
{
    for (size_t i = 0; i < ARENAS; i++) {
        securemem_arena *arena = arena_with_idle(SIZE_MAX);
        securemem_free(
            securemem_arena_alloc(arena, 32)); /* the slot is cached from now */
        char *secret = securemem_arena_alloc(arena, 32);
        NEED(secret != NULL);
        secret[-1000] ^= 1;
        securemem_free(secret);
    }
}

static int meet_broken_ones_while_sealing(void *argument)
{
    static unsigned calls;
    jumps = *(bool *)argument;
    securemem_sealed *sealed = securemem_seal("secret", 7, 0);
    NEED(sealed != NULL);
    securemem_set_misuse_handler(fork_or_jump, &calls);
    break_cached_ones();
    alarm(20);
    if (setjmp(back) == 0)
        NEED(securemem_sealed_open(sealed, SECUREMEM_READ) != NULL);
    NEED(calls == 1);
    NEED(setjmp(back) != 0 || securemem_sealed_close(sealed) == 0); /* no lock is held */
    NEED(securemem_sealed_rotate() == 0);
    securemem_sealed_free(sealed);
    return 0;
}

/* The close of what was freed is a double free, told when nothing of it stands half way. */
static int free_twice_while_sealing(void *argument)
{
    static unsigned calls;
    unsigned char into[32], plain[32] = {7};
    (void)argument;
    jumps = true;
    alarm(20);
    securemem_sealed *freed = securemem_seal(plain, sizeof plain, 0);
    securemem_sealed *other = securemem_seal(plain, sizeof plain, 0);
    NEED(freed != NULL && other != NULL);
    securemem_set_misuse_handler(fork_or_jump, &calls);
    for (int i = 0; i < 2; i++) {
        securemem_free(securemem_sealed_open(freed, SECUREMEM_READ));
        if (setjmp(back) == 0) {
            if (i == 0)
                (void)securemem_sealed_close(freed);
            else
                securemem_sealed_free(freed);
        }
        NEED(calls == (unsigned)i + 1);
    }
    NEED(securemem_sealed_rotate() == 0);
    NEED(securemem_unseal_into(other, into, sizeof into) == 0);
    NEED(memcmp(into, plain, sizeof into) == 0);
    char *secret = securemem_alloc(16);
    secret[-1] ^= 1;
    if (setjmp(back) == 0)
        securemem_free(secret);
    NEED(calls == 3); /* nothing is held back any more */
    return 0;
}

static void *set_handlers(void *over)
{
    static unsigned calls;
    jumps = false;
    while (!atomic_load((atomic_bool *)over)) {
        securemem_set_misuse_handler(fork_or_jump, &calls);
        securemem_set_misuse_handler(NULL, NULL);
    }
    return NULL;
}

static int stop_for_misuse(void *argument)
{
    alarm(20);
    securemem_free(argument); /* the handler, or the end */
    _exit(0);
}

/* A handler that is being set in another thread is set, or not, in a child. */
static int fork_beside(void *argument)
{
    atomic_bool over = false;
    pthread_t thread;
    securemem_set_misuse_handler(NULL, NULL); /* none of an earlier test */
    NEED(pthread_create(&thread, NULL, set_handlers, &over) == 0);
    for (int i = 0; i < 30; i++) {
        struct child_end end;
        child_run(stop_for_misuse, argument, &end);
        fputs(end.errors, stderr);
        NEED(end.exit_code == 0 || end.signal == SIGABRT);
    }
    atomic_store(&over, true);
    NEED(pthread_join(thread, NULL) == 0);
    return 0;
}

static void a_fork_beside_who_sets_a_handler_leaves_one_or_none(void **state)
{
    (void)state;
    static int foreign;
    CHILD_PASSES(fork_beside, &foreign);
}

static int be_refused_after_a_jump(void *argument)
{
    static unsigned calls;
    (void)argument;
    jumps = true;
    securemem_set_misuse_handler(fork_or_jump, &calls);
    break_cached_ones();
    for (size_t i = 0; i < ARENAS; i++) {
        securemem_arena *arena = arena_with_idle(SIZE_MAX);
        if (setjmp(back) == 0)
            (void)!securemem_arena_alloc(arena, 32);
    }
    NEED(calls > 0);
    NEED(securemem_set_access(&calls, SECUREMEM_READ) == -EINVAL);
    NEED(securemem_last_error()->code == EINVAL);
    return 0;
}

static void a_handler_may_fork_or_jump_whatever_met_the_broken_canary(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool jump = i == 1;
        CHILD_PASSES(meet_broken_ones_while_sealing, &jump);
    }
    CHILD_PASSES(free_twice_while_sealing, NULL);
    CHILD_PASSES(be_refused_after_a_jump, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_second_free_is_told_whether_pages_are_left_or_not,
                               set_handler),
        cmocka_unit_test_setup(the_last_512_frees_are_remembered, set_handler),
        cmocka_unit_test_setup(secrets_that_ended_with_their_arena_are_freed,
                               set_handler),
        cmocka_unit_test_setup(pointers_that_are_no_secrets_are_told_apart, set_handler),
        cmocka_unit_test_setup(a_free_in_the_wrong_arena_leaves_the_secret_alive,
                               set_handler),
        cmocka_unit_test_setup(what_is_no_arena_cannot_be_destroyed, set_handler),
        cmocka_unit_test_setup(every_canary_byte_is_looked_at, set_handler),
        cmocka_unit_test_setup(
            a_broken_canary_is_seen_at_the_end_of_the_arena_and_by_realloc, set_handler),
        cmocka_unit_test_setup(null_is_nothing_and_errno_is_kept, set_handler),
        cmocka_unit_test_setup(a_handler_may_leave_by_longjmp, set_handler),
        cmocka_unit_test(a_handler_may_fork_or_jump_whatever_met_the_broken_canary),
        cmocka_unit_test(a_fork_beside_who_sets_a_handler_leaves_one_or_none),
    };
    return RUN_GROUP(tests);
}
