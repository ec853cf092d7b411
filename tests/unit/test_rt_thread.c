/* SPDX-License-Identifier: ISC */
/* Threads whose stack is in memory before they run. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit/unit.h"

static void need_done(int result)
{
    if (result != 0)
        fprintf(stderr, "%s\n", securemem_last_error()->message);
    NEED(result == 0);
}

/* The stack as the C library knows it. */
static void *look_at_stack(void *argument)
{
    pthread_attr_t attributes;
    void *start;
    size_t size, page = view_page_size();
    NEED(pthread_getattr_np(pthread_self(), &attributes) == 0);
    NEED(pthread_attr_getstack(&attributes, &start, &size) == 0);
    NEED(pthread_attr_destroy(&attributes) == 0);
    struct view view;
    NEED(view_at(start, &view) && view_has(&view, "lo"));
    NEED(view.start == (uintptr_t)start && view.end == view.start + size);
    NEED(view.resident_kb * 1024 == size);
    NEED(view_at((char *)start - 1, &view) && strcmp(view.permissions, "---p") == 0);
    NEED(!view_readable((char *)start - page));
    *(size_t *)argument = size;
    return start;
}

static int make_threads(void *argument)
{
    (void)argument;
    size_t page = view_page_size(), locked = view_locked_bytes();
    const size_t sizes[] = {0, 32 * page, 33 * page - 5};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        securemem_rt_thread *thread;
        size_t size = 0;
        void *start = NULL;
        const securemem_rt_thread_options options = {.stack = sizes[i]};
        int result = securemem_rt_thread_create(&thread, &options, look_at_stack, &size);
        if (result == -ENOMEM || result == -EPERM)
            return SKIP_EXIT;
        need_done(result);
        need_done(securemem_rt_thread_join(thread, &start));
        NEED(size == (sizes[i] == 0 ? SECUREMEM_RT_STACK_DEFAULT
                                    : (sizes[i] + page - 1) / page * page));
        NEED(!view_readable(start)); /* given back */
        NEED(securemem_rt_thread_join(thread, NULL) == -EINVAL);
    }
    NEED(view_locked_bytes() == locked);
    return 0;
}

static void a_thread_has_exactly_its_stack_locked_behind_a_guard(void **state)
{
    (void)state;
    if (child_skips(make_threads, NULL))
        SKIP("the stack's lock is refused here");
}

/* As deep as is left but for two pages, and all that a warm thread has used once. */
static void *use_what_is_warm(void *argument)
{
    securemem_rt_section *section = argument;
    volatile char *deep = __builtin_alloca(80UL * 1024);
    struct timespec now;
    NEED(securemem_rt_section_begin(section) == 0);
    for (size_t i = 80UL * 1024; i > 0; i -= 1024)
        deep[i - 1] = 1;
    NEED(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    void *block = malloc(100);
    free(block);
    NEED(securemem_rt_section_end(section) == 0);
    return NULL;
}

static int use_warm_thread(void *argument)
{
    (void)argument;
    static securemem_rt_section section;
    securemem_rt_thread *thread;
    const securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
    if (securemem_rt_enter(&plan) != 0)
        return SKIP_EXIT;
    need_done(securemem_rt_thread_create(&thread, NULL, use_what_is_warm, &section));
    need_done(securemem_rt_thread_join(thread, NULL));
    if (section.witness != SECUREMEM_RT_WITNESS_PERF)
        return SKIP_EXIT;
    for (size_t i = 0; i < section.recorded; i++) {
        char line[300];
        (void)securemem_rt_fault_describe(&section.faults[i], line, sizeof line);
        fprintf(stderr, "%s\n", line);
    }
    NEED(section.user_minor + section.user_major == 0);
    need_done(securemem_rt_leave());
    return 0;
}

static void a_warm_thread_has_no_fault_in_what_it_used_before(void **state)
{
    (void)state;
    if (child_skips(use_warm_thread, NULL))
        SKIP("the mode, or perf_event_open, is refused here");
}

static void *tell_policy(void *argument)
{
    struct sched_param priority;
    int *policy = argument;
    NEED(pthread_getschedparam(pthread_self(), policy, &priority) == 0);
    return (void *)(uintptr_t)priority.sched_priority;
}

static int ask_for_fifo(void *argument)
{
    (void)argument;
    securemem_rt_thread *thread;
    int policy = -1;
    void *priority = NULL;
    const securemem_rt_thread_options options = {.fifo_priority = 7};
    int result = securemem_rt_thread_create(&thread, &options, tell_policy, &policy);
    if (result == -EPERM)
        return SKIP_EXIT;
    need_done(result);
    need_done(securemem_rt_thread_join(thread, &priority));
    NEED(policy == SCHED_FIFO && (uintptr_t)priority == 7);
    return 0;
}

static void a_thread_gets_the_priority_that_was_asked_for(void **state)
{
    (void)state;
    if (child_skips(ask_for_fifo, NULL))
        SKIP("SCHED_FIFO is refused here");
}

static int ask_for_fifo_as_ordinary(void *argument)
{
    (void)argument;
    const struct rlimit none = {0, 0};
    if (!child_become_ordinary(8UL << 20) || setrlimit(RLIMIT_RTPRIO, &none) != 0)
        return SKIP_EXIT;
    securemem_rt_thread *thread = NULL;
    size_t mappings = 0, locked = view_locked_bytes();
    const securemem_rt_thread_options options = {.fifo_priority = 7};
    int policy;
    for (int i = 0; i < 2; i++) { /* the first one brings bookkeeping that stays */
        mappings = view_mappings();
        NEED(securemem_rt_thread_create(&thread, &options, tell_policy, &policy) ==
             -EPERM);
        NEED(strstr(securemem_last_error()->message, "RLIMIT_RTPRIO") != NULL);
        NEED(thread == NULL && view_locked_bytes() == locked);
    }
    NEED(view_mappings() == mappings);
    return 0;
}

static void a_refused_priority_names_the_limit_and_leaves_nothing(void **state)
{
    (void)state;
    if (child_skips(ask_for_fifo_as_ordinary, NULL))
        SKIP("this process may not become another user");
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void wrong_options_are_an_error(void **state)
{
    (void)state;
    securemem_rt_thread *thread;
    const securemem_rt_thread_options wrong[] = {
        {.stack = 1},          {.stack = SIZE_MAX}, {.fifo_priority = 100},
        {.fifo_priority = -1}, {.reserved = {1}},
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(securemem_rt_thread_create(&thread, &wrong[i], do_nothing, NULL),
                         -EINVAL);
    assert_int_equal(securemem_rt_thread_create(NULL, NULL, do_nothing, NULL), -EINVAL);
    assert_int_equal(securemem_rt_thread_create(&thread, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(securemem_rt_thread_join(NULL, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_has_exactly_its_stack_locked_behind_a_guard),
        cmocka_unit_test(a_warm_thread_has_no_fault_in_what_it_used_before),
        cmocka_unit_test(a_thread_gets_the_priority_that_was_asked_for),
        cmocka_unit_test(a_refused_priority_names_the_limit_and_leaves_nothing),
        cmocka_unit_test(wrong_options_are_an_error),
    };
    return RUN_GROUP(tests);
}
