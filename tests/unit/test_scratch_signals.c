/* SPDX-License-Identifier: ISC */
/* Signals that arrive in a scratch call: where their handlers run, and what is left. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "unit/unit.h"

#define ALTERNATE_BYTES ((size_t)64 << 10)
#define PATTERN         0xa5

static unsigned char *alternate; /* the program's */
static char *volatile at;        /* where the last handler ran */
static volatile int refused;     /* what a scratch call in the handler gave */
static stack_t found;

static void do_nothing(void *argument)
{
    (void)argument;
}

static void handle(int number)
{
    char here = (char)number;
    int before = errno;
    at = &here;
    sigaltstack(NULL, &found);
    errno = before;
}

static void handle_and_call(int number)
{
    handle(number);
    refused = securemem_scratch_call(do_nothing, NULL, 0);
}

static void use_handler(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void use_alternate(void *start)
{
    stack_t stack = {.ss_sp = start,
                     .ss_size = ALTERNATE_BYTES,
                     .ss_flags = start == NULL ? SS_DISABLE : 0};
    assert_int_equal(sigaltstack(&stack, NULL), 0);
}

static bool on_program_alternate(const char *address)
{
    return (uintptr_t)address - (uintptr_t)alternate < ALTERNATE_BYTES;
}

static void raise_one(void *argument)
{
    pthread_t *ran_in = argument;
    if (ran_in != NULL)
        *ran_in = pthread_self();
    raise(SIGUSR1);
}

static bool runs_in_a_thread(void)
{
    pthread_t ran_in;
    use_handler(SIG_IGN, 0);
    assert_int_equal(securemem_scratch_call(raise_one, &ran_in, 0), 0);
    return !pthread_equal(ran_in, pthread_self());
}

static int set_up(void **state)
{
    (void)state;
    alternate = malloc(ALTERNATE_BYTES);
    memset(alternate, PATTERN, ALTERNATE_BYTES);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    use_alternate(NULL);
    use_handler(SIG_DFL, 0);
    free(alternate);
    return securemem_scratch_trim();
}

/* It is still there, kept for the next call. */
static bool ran_on_a_locked_stack(void)
{
    struct view seen;
    return view_at(at, &seen) && view_has(&seen, "lo") && view_has(&seen, "dd") &&
           all_bytes_are((char *)seen.start, seen.end - seen.start, 0);
}

static void a_handler_runs_on_the_scratch_stack_which_is_wiped(void **state)
{
    (void)state;
    const int flags[] = {0, SA_ONSTACK};
    for (size_t i = 0; i < COUNT(flags); i++) {
        use_handler(handle, flags[i]);
        assert_int_equal(securemem_scratch_call(raise_one, NULL, 0), 0);
        assert_true(ran_on_a_locked_stack());
    }
}

static void a_locked_stack_stands_in_for_an_alternate_one(void **state)
{
    (void)state;
    use_alternate(alternate);
    use_handler(handle, SA_ONSTACK);
    raise_one(NULL);
    assert_true(on_program_alternate(at)); /* the control: so it is outside */
    assert_false(all_bytes_are(alternate, ALTERNATE_BYTES, PATTERN));

    memset(alternate, PATTERN, ALTERNATE_BYTES);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(securemem_scratch_call(raise_one, NULL, 0), 0);
        assert_true(ran_on_a_locked_stack());
        assert_false(on_program_alternate(at));
        stack_t now;
        assert_int_equal(sigaltstack(NULL, &now), 0);
        assert_ptr_equal(now.ss_sp, alternate);
        assert_int_equal(now.ss_size, ALTERNATE_BYTES);
        assert_int_equal(now.ss_flags, 0);
    }
    assert_true(all_bytes_are(alternate, ALTERNATE_BYTES, PATTERN));
}

/* What a handler with SA_ONSTACK may count on. */
static void the_stand_in_is_as_large(void **state)
{
    (void)state;
    if (runs_in_a_thread())
        SKIP("a new thread has no alternate stack");
    use_alternate(alternate);
    use_handler(handle, SA_ONSTACK);
    assert_int_equal(securemem_scratch_call(raise_one, NULL, 0), 0);
    assert_true(found.ss_size >= ALTERNATE_BYTES);
    assert_true((found.ss_flags & SS_ONSTACK) != 0);
    assert_true((uintptr_t)at - (uintptr_t)found.ss_sp < found.ss_size);
}

static void set_another(void *argument)
{
    use_alternate(argument);
}

static void an_alternate_stack_that_the_function_sets_stays(void **state)
{
    (void)state;
    if (runs_in_a_thread())
        SKIP("the function sets that of another thread");
    unsigned char *other = malloc(ALTERNATE_BYTES);
    stack_t now;
    use_alternate(alternate);
    assert_int_equal(securemem_scratch_call(set_another, other, 0), 0);
    assert_int_equal(sigaltstack(NULL, &now), 0);
    assert_ptr_equal(now.ss_sp, other);
    use_alternate(NULL);
    assert_int_equal(securemem_scratch_call(set_another, other, 0), 0);
    assert_int_equal(sigaltstack(NULL, &now), 0);
    assert_ptr_equal(now.ss_sp, other);
    use_alternate(NULL);
    free(other);
}

static void a_handler_on_an_alternate_stack_is_refused_a_call(void **state)
{
    (void)state;
    use_alternate(alternate);
    use_handler(handle_and_call, SA_ONSTACK);
    refused = 0;
    raise_one(NULL);
    assert_int_equal(refused, -EPERM);
    if (runs_in_a_thread())
        return;
    use_handler(handle_and_call, SA_ONSTACK);
    refused = 0;
    assert_int_equal(securemem_scratch_call(raise_one, NULL, 0), 0);
    assert_int_equal(refused, -EPERM);
    assert_int_equal(securemem_last_error()->code, EPERM);
}

static void *call_with_alternate(void *argument)
{
    stack_t stack = {.ss_sp = argument, .ss_size = ALTERNATE_BYTES}, before, now;
    NEED(sigaltstack(&stack, &before) == 0); /* a sanitizer has one */
    for (int i = 0; i < 10; i++)
        NEED(securemem_scratch_call(raise_one, NULL, 0) == 0);
    NEED(sigaltstack(NULL, &now) == 0 && now.ss_sp == argument);
    NEED(sigaltstack(&before, NULL) == 0);
    return NULL;
}

static void the_stand_in_ends_with_its_thread(void **state)
{
    (void)state;
    use_handler(handle, SA_ONSTACK);
    assert_int_equal(securemem_scratch_trim(), 0);
    size_t locked = view_locked_bytes();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_with_alternate, alternate), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(view_locked_bytes(), locked);
    assert_true(all_bytes_are(alternate, ALTERNATE_BYTES, PATTERN));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handler_runs_on_the_scratch_stack_which_is_wiped),
        TEST(a_locked_stack_stands_in_for_an_alternate_one),
        TEST(the_stand_in_is_as_large),
        TEST(an_alternate_stack_that_the_function_sets_stays),
        TEST(a_handler_on_an_alternate_stack_is_refused_a_call),
        TEST(the_stand_in_ends_with_its_thread),
    };
    return RUN_GROUP(tests);
}
