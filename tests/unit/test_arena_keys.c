/* SPDX-License-Identifier: ISC */
/*
 * Arenas behind a protection key: who gets in, what the kernel says of one who does not,
 * and what an arena gets when there is no key for it. Without protection keys in the
 * processor those tests are skipped; tests/vm runs them in a machine that has them.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/keys.h"
#include "support/seccomp.h"
#include "unit/unit.h"

#define SIZE 100

static const securemem_arena_options required = {
    .protection_key = SECUREMEM_REQUIRED,
};

#define NEED_KEYS()                                                                      \
    do {                                                                                 \
        if (!keys_exist())                                                               \
            SKIP("this processor has no protection keys, or the kernel does not use "    \
                 "them");                                                                \
    } while (0)

static unsigned char *filled(securemem_arena *arena, size_t size)
{
    unsigned char *secret = securemem_arena_alloc(arena, size);
    if (secret == NULL || securemem_arena_open(arena, SECUREMEM_WRITE) != 0)
        return NULL;
    memset(secret, 0x5a, size);
    return securemem_arena_close(arena) == 0 ? secret : NULL;
}

/* What child processes are to touch. */
struct touched {
    securemem_arena *arena;
    unsigned char *secret;
    securemem_access opened; /* or NONE */
    bool writes;
};

static int touch(void *argument)
{
    const struct touched *t = argument;
    if (t->opened != SECUREMEM_NONE)
        NEED(securemem_arena_open(t->arena, t->opened) == 0);
    if (t->writes)
        *(volatile unsigned char *)t->secret = 1;
    return *(volatile unsigned char *)t->secret == 0xff;
}

/* The kernel's word for a refused access to it. */
static bool is_refused(struct touched touched)
{
    struct child_end end;
    child_run(touch, &touched, &end);
    if (end.signal == 0)
        return false;
    assert_int_equal(end.signal, SIGSEGV);
    assert_int_equal(end.fault_code, KEYS_SEGV_PKUERR);
    assert_int_equal(end.fault, (uintptr_t)touched.secret);
    return true;
}

static void a_closed_arena_refuses_and_a_scope_opens_it(void **state)
{
    (void)state;
    NEED_KEYS();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++) {
        securemem_arena_options options = required;
        options.placement = (securemem_placement)p;
        securemem_arena *arena = arena_of(options);
        unsigned char *secret = filled(arena, SIZE);
        assert_non_null(secret);
        for (int opened = SECUREMEM_NONE; opened <= SECUREMEM_WRITE; opened++) {
            struct touched t = {arena, secret, (securemem_access)opened, false};
            assert_int_equal(is_refused(t), opened == SECUREMEM_NONE);
            t.writes = true;
            assert_int_equal(is_refused(t), opened != SECUREMEM_WRITE);
        }
        assert_false(view_readable(secret)); /* nor do system calls of this thread */
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
        assert_int_equal(securemem_arena_open(arena, SECUREMEM_WRITE), 0);
        assert_int_equal(securemem_arena_close(arena), 0);
        assert_true(all_bytes_are(secret, SIZE, 0x5a));
        secret[0] = 7; /* what scopes allow does not shrink */
        assert_int_equal(securemem_arena_close(arena), 0);
        assert_false(view_readable(secret));
        assert_int_equal(securemem_arena_close(arena), -EINVAL);
        securemem_arena_destroy(arena);
    }
}

static void smaps_has_the_key_on_every_page_and_the_report_says_it(void **state)
{
    (void)state;
    NEED_KEYS();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        for (int memory = 0; memory < 2; memory++) {
            securemem_arena_options options = required;
            options.placement = (securemem_placement)p;
            options.fork = memory ? SECUREMEM_FORK_DROP : SECUREMEM_FORK_WIPE;
            options.secret_memory = memory ? SECUREMEM_PREFERRED : SECUREMEM_OFF;
            securemem_arena *arena = arena_of(options);
            unsigned char *secret = securemem_arena_alloc(arena, SIZE);
            assert_non_null(secret);
            securemem_protection says;
            assert_int_equal(securemem_protection(secret, &says), 0);
            assert_int_equal(says.witness, SECUREMEM_WITNESS_SMAPS);
            assert_true(says.protection_key.holds && says.key != 0);
            assert_int_equal(says.protection_key.asked, SECUREMEM_REQUIRED);
            assert_int_equal(says.key, keys_of(secret));
            assert_int_equal(says.access, SECUREMEM_NONE);
            assert_true(says.lock.holds && says.guards.holds && says.no_dump.holds);
            assert_true(permissions_are(
                secret, memory && says.secret_memory.holds ? "rw-s" : "rw-p"));
            for (int opened = SECUREMEM_READ; opened <= SECUREMEM_WRITE; opened++) {
                assert_int_equal(securemem_arena_open(arena, (securemem_access)opened),
                                 0);
                assert_int_equal(securemem_protection(secret, &says), 0);
                assert_int_equal(says.access, opened);
                assert_int_equal(says.open_scopes, 1);
                assert_int_equal(securemem_arena_close(arena), 0);
            }
            securemem_arena_destroy(arena);
        }
    unsigned char *other = securemem_alloc(SIZE);
    securemem_protection says;
    assert_int_equal(securemem_protection(other, &says), 0);
    assert_true(says.key == 0 && says.protection_key.holds == 0 && keys_of(other) == 0);
    assert_int_equal(says.protection_key.asked, SECUREMEM_OFF);
    securemem_free(other);
}

/* Another thread, which was there before the scope and reads in it. */
struct stranger {
    pthread_barrier_t opened;
    const unsigned char *secret;
    int got;
};

static void *read_as_stranger(void *argument)
{
    struct stranger *stranger = argument;
    pthread_barrier_wait(&stranger->opened);
    stranger->got = *(volatile const unsigned char *)stranger->secret;
    return NULL;
}

static int read_in_another_thread(void *argument)
{
    const securemem_arena_options *options = argument;
    securemem_arena *arena = securemem_arena_create(options);
    NEED(arena != NULL);
    bool keyed = options->protection_key != SECUREMEM_OFF;
    unsigned char *secret = securemem_arena_alloc(arena, SIZE);
    NEED(secret != NULL);
    struct stranger stranger = {.secret = secret};
    pthread_t thread;
    NEED(pthread_barrier_init(&stranger.opened, NULL, 2) == 0);
    NEED(pthread_create(&thread, NULL, read_as_stranger, &stranger) == 0);
    NEED(!keyed || securemem_arena_open(arena, SECUREMEM_WRITE) == 0);
    memset(secret, 0x5a, SIZE);
    pthread_barrier_wait(&stranger.opened);
    pthread_join(thread, NULL);
    NEED(stranger.got == 0x5a);
    return 0;
}

static void another_thread_stays_outside_of_a_scope(void **state)
{
    (void)state;
    NEED_KEYS();
    securemem_arena_options options = required;
    struct child_end end;
    child_run(read_in_another_thread, &options, &end);
    assert_int_equal(end.signal, SIGSEGV);
    assert_int_equal(end.fault_code, KEYS_SEGV_PKUERR);
    options.protection_key = SECUREMEM_OFF;
    CHILD_PASSES(read_in_another_thread, &options); /* the same read without a key */
}

static void *begin_inside(void *argument)
{
    struct touched *t = argument;
    /* It was made in a scope of its maker. */
    if (t->secret[0] != 0x5a || securemem_arena_close(t->arena) != -EINVAL)
        return NULL;
    return view_readable(t->secret) ? NULL : t;
}

static void a_new_thread_has_its_makers_rights_until_it_gives_them_up(void **state)
{
    (void)state;
    NEED_KEYS();
    securemem_arena *arena = arena_of(required);
    struct touched t = {.arena = arena, .secret = filled(arena, SIZE)};
    pthread_t thread;
    void *passed = NULL;
    assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
    assert_int_equal(pthread_create(&thread, NULL, begin_inside, &t), 0);
    pthread_join(thread, &passed);
    assert_ptr_equal(passed, &t);
    assert_true(t.secret[0] == 0x5a); /* ours are as they were */
    assert_int_equal(securemem_arena_close(arena), 0);
    securemem_arena_destroy(arena);
}

static struct touched in_handler;

static void read_in_handler(int signal)
{
    (void)signal;
    in_handler.writes = *(volatile unsigned char *)in_handler.secret == 0x5a;
}

static void read_in_scope_of_handler(int signal)
{
    (void)signal;
    in_handler.writes = securemem_arena_open(in_handler.arena, SECUREMEM_READ) == 0 &&
                        *(volatile unsigned char *)in_handler.secret == 0x5a &&
                        securemem_arena_close(in_handler.arena) == 0;
}

static int be_interrupted(void *argument)
{
    void (*const *handler)(int) = argument;
    NEED(signal(SIGUSR1, *handler) != SIG_ERR);
    NEED(securemem_arena_open(in_handler.arena, SECUREMEM_READ) == 0);
    raise(SIGUSR1);
    NEED(in_handler.writes && in_handler.secret[0] == 0x5a);
    NEED(securemem_arena_close(in_handler.arena) == 0);
    NEED(!view_readable(in_handler.secret));
    return 0;
}

static void a_signal_handler_needs_a_scope_of_its_own(void **state)
{
    (void)state;
    NEED_KEYS();
    securemem_arena_options options = required;
    options.fork = SECUREMEM_FORK_KEEP;
    in_handler = (struct touched){.arena = arena_of(options)};
    in_handler.secret = filled(in_handler.arena, SIZE);
    void (*handler)(int) = read_in_scope_of_handler;
    CHILD_PASSES(be_interrupted, &handler);
    handler = read_in_handler;
    struct child_end end;
    child_run(be_interrupted, &handler, &end);
    securemem_arena_destroy(in_handler.arena);
    if (IS_TSAN)
        SKIP("tsan calls handlers itself, with the rights of what they interrupt");
    assert_int_equal(end.signal, SIGSEGV);
    assert_int_equal(end.fault_code, KEYS_SEGV_PKUERR);
}

/* Calls of the library work on what is closed, and leave it closed, or open. */
static void the_library_works_behind_the_door_and_leaves_it_as_it_was(void **state)
{
    (void)state;
    NEED_KEYS();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        for (int opened = 0; opened < 2; opened++) {
            securemem_arena_options options = required;
            options.placement = (securemem_placement)p;
            options.idle = SIZE_MAX;
            securemem_arena *arena = arena_of(options);
            unsigned char *a = filled(arena, SIZE), *b = filled(arena, SIZE);
            if (opened)
                assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
            a = securemem_realloc(a, SIZE + 4);
            a = securemem_realloc(a, 5000);
            unsigned char *c = securemem_dup(a);
            assert_true(a != NULL && c != NULL);
            securemem_free(b);
            assert_int_equal(securemem_arena_check(arena), 0);
            assert_int_equal(securemem_arena_trim(arena), 0);
            assert_int_equal(securemem_arena_reserve(arena, 5 * view_page_size()), 0);
            assert_int_equal(view_readable(a), opened);
            assert_int_equal(view_readable(c), opened);
            if (!opened)
                assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
            assert_true(all_bytes_are(c, SIZE, 0x5a));
            assert_true(all_bytes_are(a + SIZE, 5000 - SIZE, 0));
            assert_int_equal(securemem_arena_close(arena), 0);
            assert_int_equal(securemem_wipe_all(), 0);
            assert_false(view_readable(a));
            assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
            assert_true(all_bytes_are(a, 5000, 0) && all_bytes_are(c, 5000, 0));
            securemem_arena_destroy(arena);
        }
}

static void a_scope_ends_with_its_arena(void **state)
{
    (void)state;
    NEED_KEYS();
    size_t count = keys_left();
    securemem_arena *arena = arena_of(required);
    assert_non_null(filled(arena, SIZE));
    assert_int_equal(securemem_arena_open(arena, SECUREMEM_WRITE), 0);
    securemem_arena_destroy(arena);
    assert_int_equal(keys_left(), count);
    arena = arena_of(required); /* with the same key, since it is the first free one */
    assert_false(view_readable(filled(arena, SIZE)));
    assert_int_equal(securemem_arena_close(arena), -EINVAL);
    securemem_arena_destroy(arena);
}

static int look_in_child(void *argument)
{
    const struct touched *t = argument;
    NEED(!view_readable(t->secret));
    securemem_protection says;
    NEED(securemem_protection(t->secret, &says) == 0);
    NEED(says.protection_key.holds && says.lock.holds && says.guards.holds);
    NEED(says.key == keys_of(t->secret));
    NEED(securemem_arena_open(t->arena, SECUREMEM_WRITE) == 0);
    NEED(all_bytes_are(t->secret, SIZE, t->writes ? 0x5a : 0));
    t->secret[0] = 1;
    NEED(securemem_arena_close(t->arena) == 0);
    securemem_free(t->secret);
    unsigned char *own = securemem_arena_alloc(t->arena, SIZE);
    NEED(own != NULL && !view_readable(own));
    securemem_arena_destroy(t->arena);
    return 0;
}

static void a_child_has_the_same_door(void **state)
{
    (void)state;
    NEED_KEYS();
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        for (int keep = 0; keep < 2; keep++) {
            securemem_arena_options options = required;
            options.placement = (securemem_placement)p;
            options.fork = keep ? SECUREMEM_FORK_KEEP : SECUREMEM_FORK_WIPE;
            securemem_arena *arena = arena_of(options);
            struct touched t = {arena, filled(arena, SIZE), SECUREMEM_NONE, keep};
            CHILD_PASSES(look_in_child, &t);
            assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
            assert_true(all_bytes_are(t.secret, SIZE, 0x5a));
            securemem_arena_destroy(arena);
        }
}

static void the_sixteenth_arena_gets_what_its_policy_says(void **state)
{
    (void)state;
    NEED_KEYS();
    securemem_arena *arenas[15];
    size_t count = keys_left();
    assert_in_range(count, 1, COUNT(arenas));
    for (size_t i = 0; i < count; i++)
        arenas[i] = arena_of(required);
    errno = 0;
    assert_null(securemem_arena_create(&required));
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(securemem_last_error()->limit, 15);
    assert_non_null(strstr(securemem_last_error()->message, "preferred"));

    securemem_arena_options options = required;
    options.protection_key = SECUREMEM_PREFERRED;
    securemem_arena *without = arena_of(options);
    unsigned char *secret = filled(without, SIZE);
    securemem_protection says;
    assert_int_equal(securemem_protection(secret, &says), 0);
    assert_int_equal(says.protection_key.holds, 0);
    assert_int_equal(says.protection_key.refused, ENOSPC);
    assert_true(permissions_are(secret, "---p"));
    securemem_arena_destroy(without);

    securemem_arena_destroy(arenas[0]);
    arenas[0] = arena_of(required); /* with the key that is free again */
    for (size_t i = 0; i < count; i++)
        securemem_arena_destroy(arenas[i]);
    assert_int_equal(keys_left(), count);
}

static void *open_and_wait(void *argument)
{
    struct stranger *stranger = argument;
    securemem_arena *arena = (securemem_arena *)(uintptr_t)stranger->secret;
    stranger->got = securemem_arena_open(arena, SECUREMEM_READ);
    pthread_barrier_wait(&stranger->opened);
    pthread_barrier_wait(&stranger->opened);
    return NULL;
}

static int destroy_under_a_scope(void *argument)
{
    (void)argument;
    size_t count = keys_left();
    securemem_arena *arena = securemem_arena_create(&required);
    NEED(arena != NULL && keys_left() == count - 1);
    struct stranger other = {.secret = (const unsigned char *)arena};
    pthread_t thread;
    NEED(pthread_barrier_init(&other.opened, NULL, 2) == 0);
    NEED(pthread_create(&thread, NULL, open_and_wait, &other) == 0);
    pthread_barrier_wait(&other.opened);
    securemem_arena_destroy(arena);
    NEED(other.got == 0 && keys_left() == count - 1); /* that thread has rights to it */
    arena = securemem_arena_create(&required);
    NEED(arena != NULL && keys_left() == count - 2);
    securemem_arena_destroy(arena);
    NEED(keys_left() == count - 1);
    pthread_barrier_wait(&other.opened);
    pthread_join(thread, NULL);
    return 0;
}

static int destroy_in_child(void *argument)
{
    size_t count = keys_left();
    securemem_arena_destroy(argument);
    NEED(keys_left() == count + 1);
    return 0;
}

/* The thread with the scope is not in the child. */
static int fork_under_a_scope(void *argument)
{
    (void)argument;
    struct stranger other = {
        .secret = (const unsigned char *)securemem_arena_create(&required)};
    struct child_end end;
    pthread_t thread;
    NEED(other.secret != NULL && pthread_barrier_init(&other.opened, NULL, 2) == 0);
    NEED(pthread_create(&thread, NULL, open_and_wait, &other) == 0);
    pthread_barrier_wait(&other.opened);
    child_run(destroy_in_child, (void *)(uintptr_t)other.secret, &end);
    NEED(end.exit_code == 0);
    pthread_barrier_wait(&other.opened);
    pthread_join(thread, NULL);
    return 0;
}

static void a_key_that_another_thread_has_open_is_not_used_again(void **state)
{
    (void)state;
    NEED_KEYS();
    CHILD_PASSES(destroy_under_a_scope, NULL);
    CHILD_PASSES(fork_under_a_scope, NULL);
}

/* A thread that caches secrets of other arenas. */
static void begin_caching(void)
{
    securemem_arena *plain = arena_of(
        (securemem_arena_options){.placement = SECUREMEM_PACKED, .idle = SIZE_MAX});
    securemem_free(securemem_arena_alloc(plain, SIZE));
    securemem_arena_destroy(plain);
}

/* A processor, a kernel or a sandbox without them. */
static int live_without(void *argument)
{
    int error = *(const int *)argument;
    if (!seccomp_answer(SYS_pkey_alloc, error))
        return SKIP_EXIT;
    int expected = keys_in_processor() && error == EPERM ? EPERM : ENOTSUP;
    NEED(securemem_arena_create(&required) == NULL && errno == expected);
    NEED(strstr(securemem_last_error()->message, "pkey_alloc") != NULL);
    securemem_arena_options options = required;
    options.protection_key = SECUREMEM_PREFERRED;
    securemem_arena *arena = securemem_arena_create(&options);
    NEED(arena != NULL);
    unsigned char *secret = filled(arena, SIZE);
    securemem_protection says;
    NEED(secret != NULL && securemem_protection(secret, &says) == 0);
    NEED(says.protection_key.refused == expected && !says.protection_key.holds);
    NEED(says.protection_key.asked == SECUREMEM_PREFERRED && says.key == 0);
    NEED(permissions_are(secret, "---p"));
    securemem_arena_destroy(arena);
    return 0;
}

static void without_keys_the_policy_decides(void **state)
{
    (void)state;
    const int errors[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < COUNT(errors); i++)
        CHILD_PASSES(live_without, (void *)(uintptr_t)&errors[i]);
}

static void what_is_not_an_access_or_an_arena_is_refused(void **state)
{
    (void)state;
    securemem_arena_options options = {.protection_key = (securemem_policy)4};
    errno = 0;
    assert_null(securemem_arena_create(&options));
    assert_int_equal(errno, EINVAL);
    securemem_arena *plain = arena_of((securemem_arena_options){0});
    assert_int_equal(securemem_arena_open(plain, SECUREMEM_READ), -ENOTSUP);
    assert_int_equal(securemem_arena_close(plain), -ENOTSUP);
    assert_int_equal(securemem_arena_open(plain, SECUREMEM_NONE), -EINVAL);
    assert_int_equal(securemem_arena_open(plain, (securemem_access)3), -EINVAL);
    assert_int_equal(securemem_arena_open(NULL, SECUREMEM_READ), -EINVAL);
    securemem_arena_destroy(plain);
    assert_int_equal(securemem_arena_open(plain, SECUREMEM_READ), -EINVAL);
    assert_int_equal(securemem_arena_close(plain), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_arena_refuses_and_a_scope_opens_it),
        cmocka_unit_test(smaps_has_the_key_on_every_page_and_the_report_says_it),
        cmocka_unit_test(another_thread_stays_outside_of_a_scope),
        cmocka_unit_test(a_new_thread_has_its_makers_rights_until_it_gives_them_up),
        cmocka_unit_test(a_signal_handler_needs_a_scope_of_its_own),
        cmocka_unit_test(the_library_works_behind_the_door_and_leaves_it_as_it_was),
        cmocka_unit_test(a_scope_ends_with_its_arena),
        cmocka_unit_test(a_child_has_the_same_door),
        cmocka_unit_test(the_sixteenth_arena_gets_what_its_policy_says),
        cmocka_unit_test(a_key_that_another_thread_has_open_is_not_used_again),
        cmocka_unit_test(without_keys_the_policy_decides),
        cmocka_unit_test(what_is_not_an_access_or_an_arena_is_refused),
    };
    begin_caching();
    return RUN_GROUP(tests);
}
