/* SPDX-License-Identifier: ISC */
/* Sections whose faults stop the thread, and whose handler SIGTRAP has meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "unit/rt.h"

#define TRAPS(name, body)                                                                \
    static void name(void **state)                                                       \
    {                                                                                    \
        (void)state;                                                                     \
        if (child_skips(body, NULL))                                                     \
            SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");                 \
    }

static int trap_counts(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    char *memory = fresh(TIMES);
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    for (int i = 0; i < TIMES; i++)
        memory[(size_t)i * page] = 1;
    end();
    NEED(section.trapped == TIMES && section.user_minor == TIMES);
    return 0;
}

static int trap_aborts(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    char *target = fresh(1);
    fprintf(stderr, "planted %p\n", (void *)target);
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_ABORT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    *(volatile char *)target = 1;
    return 0;
}

TRAPS(a_trap_counts_each_fault, trap_counts)

static void a_trap_that_aborts_ends_the_process_at_the_instruction(void **state)
{
    (void)state;
    struct child_end child;
    child_run(trap_aborts, NULL, &child);
    if (child.exit_code == SKIP_EXIT)
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
    assert_int_equal(child.signal, SIGABRT);
    char *planted = strstr(child.errors, "planted "), *told;
    assert_non_null(planted);
    told = strstr(planted, " touched ");
    assert_non_null(told);
    assert_int_equal(strtoul(planted + strlen("planted "), NULL, 16),
                     strtoul(told + strlen(" touched "), NULL, 16));
}

static volatile sig_atomic_t others;

static void count_other(int number)
{
    (void)number;
    others++;
}

static int trap_passes_on(void *argument)
{
    (void)argument;
    struct sigaction action = {.sa_handler = count_other}, now;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    if (!has_perf())
        return SKIP_EXIT;
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    NEED(raise(SIGTRAP) == 0);
    end();
    NEED(others == 1);
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    return 0;
}

TRAPS(other_traps_go_to_the_handler_that_was_there, trap_passes_on)

static void *end_inside(void *argument)
{
    securemem_rt_section own = {.flags = SECUREMEM_RT_TRAP,
                                .trap = SECUREMEM_RT_TRAP_COUNT};
    *(int *)argument = securemem_rt_section_begin(&own);
    return NULL; /* the thread forgets its section */
}

static int trap_of_ended_thread(void *argument)
{
    struct sigaction action = {.sa_handler = count_other}, now;
    (void)argument;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    if (!has_perf())
        return SKIP_EXIT;
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        int result;
        NEED(pthread_create(&thread, NULL, end_inside, &result) == 0);
        NEED(pthread_join(thread, NULL) == 0);
        if (result != 0)
            return SKIP_EXIT;
        NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    }
    return 0;
}

TRAPS(a_thread_that_ends_in_its_section_takes_its_trap_along, trap_of_ended_thread)

static int trap_beside_another_handler(void *argument)
{
    struct sigaction action = {.sa_handler = count_other}, now;
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    end();
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    return 0;
}

TRAPS(a_handler_that_was_set_meanwhile_stays, trap_beside_another_handler)

static int trap_while_blocked(void *argument)
{
    sigset_t traps;
    struct sigaction before, now;
    (void)argument;
    NEED(sigaction(SIGTRAP, NULL, &before) == 0);
    NEED(sigemptyset(&traps) == 0 && sigaddset(&traps, SIGTRAP) == 0);
    NEED(pthread_sigmask(SIG_BLOCK, &traps, NULL) == 0);
    section.flags = SECUREMEM_RT_TRAP;
    NEED(securemem_rt_section_begin(&section) == -EPERM);
    NEED(strstr(securemem_last_error()->message, "SIGTRAP is blocked") != NULL);
    NEED(!securemem_rt_section_faulted(&section));
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == before.sa_handler);
    section.flags = 0; /* it has not begun */
    begin();
    end();
    return 0;
}

static void a_trap_that_would_be_blocked_is_refused(void **state)
{
    (void)state;
    assert_false(child_skips(trap_while_blocked, NULL));
}

/* A child that inherits the handler of its parent's section, and puts it back as its own. */
static int child_has_its_own_trap(void *argument)
{
    struct sigaction now;
    (void)argument;
    NEED(trap_counts(NULL) == 0);
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    return 0;
}

static int fork_with_a_trap(void *argument)
{
    struct sigaction action = {.sa_handler = count_other};
    struct child_end child;
    (void)argument;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    if (!has_perf())
        return SKIP_EXIT;
    securemem_rt_section own = {.flags = SECUREMEM_RT_TRAP,
                                .trap = SECUREMEM_RT_TRAP_COUNT};
    if (securemem_rt_section_begin(&own) != 0)
        return SKIP_EXIT;
    child_run(child_has_its_own_trap, NULL, &child);
    NEED(securemem_rt_section_end(&own) == 0);
    fputs(child.errors, stderr);
    NEED(child.exit_code == 0 && child.signal == 0);
    return 0;
}

TRAPS(a_child_puts_back_the_handler_of_its_parent, fork_with_a_trap)

static char *secret;

static bool is_whole(void)
{
    return all_bytes_are(secret, 64, 0x5a);
}

/* The same handler has both, in whatever order they come and go. */
struct order {
    bool wipes_first, wipes_end_first, has_handler;
};

static void run_section(void)
{
    char *memory = fresh(TIMES);
    for (int i = 0; i < TIMES; i++)
        memory[(size_t)i * page] = 1;
}

static int trap_beside_wiping(void *argument)
{
    const struct order *order = argument;
    struct sigaction before, now;
    struct sigaction action = {.sa_handler = order->has_handler ? count_other : SIG_DFL};
    NEED(sigaction(SIGTRAP, &action, NULL) == 0 &&
         sigaction(SIGTRAP, NULL, &before) == 0);
    secret = securemem_alloc(64);
    NEED(secret != NULL);
    memset(secret, 0x5a, 64);
    if (!has_perf())
        return SKIP_EXIT;
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    for (int i = 0; i < 3; i++) {
        if (order->wipes_first)
            NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
        if (securemem_rt_section_begin(&section) != 0)
            return SKIP_EXIT;
        if (!order->wipes_first)
            NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
        uint64_t trapped = section.trapped;
        run_section();
        NEED(section.trapped == trapped + TIMES && is_whole());
        if (order->wipes_end_first) {
            NEED(securemem_wipe_on_fatal_signal(0) == 0);
            trapped = section.trapped;
            run_section();
            NEED(section.trapped == trapped + TIMES && is_whole());
        }
        end();
        if (!order->wipes_end_first)
            NEED(securemem_wipe_on_fatal_signal(0) == 0);
        NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == before.sa_handler);
    }
    /* Another trap is one that ends the process, if nobody but a handler of its own knows. */
    NEED(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) == 0);
    others = 0;
    if (order->has_handler)
        NEED(raise(SIGTRAP) == 0 && others == 1 && !is_whole());
    return 0;
}

static void a_section_and_wiping_share_a_signal(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct order order = {(i & 1) != 0, (i & 2) != 0, (i & 4) != 0};
        if (child_skips(trap_beside_wiping, &order))
            SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
    }
}

int main(void)
{
    page = view_page_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trap_counts_each_fault),
        cmocka_unit_test(a_trap_that_aborts_ends_the_process_at_the_instruction),
        cmocka_unit_test(other_traps_go_to_the_handler_that_was_there),
        cmocka_unit_test(a_thread_that_ends_in_its_section_takes_its_trap_along),
        cmocka_unit_test(a_handler_that_was_set_meanwhile_stays),
        cmocka_unit_test(a_trap_that_would_be_blocked_is_refused),
        cmocka_unit_test(a_child_puts_back_the_handler_of_its_parent),
        cmocka_unit_test(a_section_and_wiping_share_a_signal),
    };
    return RUN_GROUP(tests);
}
