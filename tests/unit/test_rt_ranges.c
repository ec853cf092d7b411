/* SPDX-License-Identifier: ISC */
/* Ranges beside deterministic mode: each keeps what the other holds, and no longer. */
#include <errno.h>
#include <sys/resource.h>

#include "unit/unit.h"

#define PAGES 4

static size_t page;

static bool is_locked(const void *address)
{
    struct view view;
    return view_at(address, &view) && view_has(&view, "lo");
}

/* Apart, so that the mode's ranges and the test's share no page but where they shall. */
static char *map(void)
{
    char *start = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(start != MAP_FAILED);
    memset(start, 1, PAGES * page);
    return start;
}

static int come_and_go(void *argument)
{
    const securemem_rt_mode mode = *(const securemem_rt_mode *)argument;
    char *before = map(), *during = map(), *given_back = map(), *declared = map();
    char *program = map();
    securemem_rt_range range = {declared, PAGES * page, false};
    securemem_rt_plan plan = {.mode = mode, .ranges = &range, .range_count = 1};
    char *secret = securemem_alloc(32);
    NEED(secret != NULL && mlock(program, page) == 0);
    NEED(securemem_lock_range(before, page) == 0);
    NEED(securemem_lock_range(given_back, page) == 0);
    if (securemem_rt_enter(&plan) != 0)
        return SKIP_EXIT;
    NEED(securemem_lock_range(during, page) == 0);
    NEED(securemem_lock_range(declared, page) == 0);
    NEED(securemem_unlock_range(given_back, page) == 0);
    NEED(is_locked(given_back) == (mode != SECUREMEM_RT_REGION));
    /* What the mode needs stays, whoever shared it. */
    NEED(securemem_lock_range(declared + page, page) == 0);
    NEED(securemem_unlock_range(declared + page, page) == 0);
    NEED(is_locked(declared + page));

    NEED(securemem_rt_leave() == 0);
    NEED(is_locked(secret) && is_locked(program) && is_locked(before));
    NEED(is_locked(during) && is_locked(declared));
    NEED(!is_locked(given_back) && !is_locked(declared + page));
    NEED(securemem_unlock_range(before, page) == 0 && !is_locked(before));
    NEED(securemem_unlock_range(during, page) == 0 && !is_locked(during));
    NEED(securemem_unlock_range(declared, page) == 0 && !is_locked(declared));
    NEED(is_locked(secret) && is_locked(program));
    return 0;
}

static void leaving_keeps_ranges_that_are_locked_and_no_others(void **state)
{
    (void)state;
    for (int i = SECUREMEM_RT_FULL; i <= SECUREMEM_RT_REGION; i++) {
        securemem_rt_mode mode = (securemem_rt_mode)i;
        CHILD_PASSES(come_and_go, &mode);
    }
}

static int enter_in_vain(void *argument)
{
    (void)argument;
    char *memory = map();
    securemem_rt_range range = {memory, PAGES * page, false};
    securemem_rt_plan first = SECUREMEM_RT_PLAN_DEFAULT;
    securemem_rt_plan second = {
        .ranges = &range, .range_count = 1, .heap = (size_t)256 << 20};
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    if (!budget.lock_unlimited || securemem_rt_enter(&first) != 0)
        return SKIP_EXIT; /* a limit would be met before the ranges are */
    NEED(is_locked(memory));
    struct rlimit limit;
    NEED(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = second.heap; /* seen when malloc asks for it, after the ranges */
    NEED(setrlimit(RLIMIT_AS, &limit) == 0);
    NEED(securemem_rt_enter(&second) == -ENOMEM);
    NEED(strcmp(securemem_last_error()->operation, "malloc") == 0);
    NEED(is_locked(memory));
    NEED(securemem_rt_leave() == 0 && !is_locked(memory));
    return 0;
}

static void a_second_enter_that_is_refused_unlocks_nothing_of_the_first(void **state)
{
    (void)state;
    CHILD_PASSES(enter_in_vain, NULL);
}

static void *share_own_stack(void *argument)
{
    char here[64];
    (void)argument;
    memset(here, 0, sizeof here);
    NEED(is_locked(here));
    NEED(securemem_lock_range(here, sizeof here) == 0);
    NEED(securemem_unlock_range(here, sizeof here) == 0);
    NEED(is_locked(here));
    return NULL;
}

static int share_stack(void *argument)
{
    (void)argument;
    securemem_rt_thread *thread;
    if (securemem_rt_thread_create(&thread, NULL, share_own_stack, NULL) != 0)
        return SKIP_EXIT;
    NEED(securemem_rt_thread_join(thread, NULL) == 0);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void the_stack_of_a_thread_stays_locked(void **state)
{
    (void)state;
    CHILD_PASSES(share_stack, NULL);
}

static int outlive_the_mode(void *argument)
{
    (void)argument;
    NEED(securemem_signal_stack() == 0);
    size_t before = view_locked_bytes();
    securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
    if (securemem_rt_enter(&plan) != 0)
        return SKIP_EXIT;
    NEED(securemem_rt_leave() == 0);
    NEED(view_locked_bytes() == before && before > 0);
    return 0;
}

static void a_signal_stack_outlives_the_mode_locked(void **state)
{
    (void)state;
    CHILD_PASSES(outlive_the_mode, NULL);
}

int main(void)
{
    page = view_page_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaving_keeps_ranges_that_are_locked_and_no_others),
        cmocka_unit_test(a_second_enter_that_is_refused_unlocks_nothing_of_the_first),
        cmocka_unit_test(the_stack_of_a_thread_stays_locked),
        cmocka_unit_test(a_signal_stack_outlives_the_mode_locked),
    };
    return RUN_GROUP(tests);
}
