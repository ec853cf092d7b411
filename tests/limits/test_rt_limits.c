/* SPDX-License-Identifier: ISC */
/* Deterministic mode under limits: refused with what is missing, and nothing changed. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <securemem.h>

#include "support/need.h"
#include "support/view.h"

#define KIB 1024UL
#define MIB (1024 * KIB)

static const securemem_rt_plan full = SECUREMEM_RT_PLAN_DEFAULT;
static securemem_rt_preflight_report report;

static bool has(securemem_rt_check check, securemem_rt_severity severity)
{
    for (size_t i = 0; i < report.count; i++)
        if (report.results[i].check == check && report.results[i].severity == severity)
            return true;
    return false;
}

/* Entering is refused for that limit, and leaves the process as it was. */
static void need_refusal(const char *word, int code)
{
    size_t locked = view_locked_bytes(), mappings = view_mappings();
    int result = securemem_rt_enter(&full);
    if (strstr(securemem_last_error()->message, word) == NULL)
        fprintf(stderr, "%s\n", securemem_last_error()->message);
    NEED(result == -code);
    NEED(strstr(securemem_last_error()->message, word) != NULL);
    NEED(!securemem_rt_active());
    NEED(view_locked_bytes() == locked && view_mappings() == mappings);
}

static int enter_with(void *argument)
{
    size_t limit = *(size_t *)argument;
    NEED(securemem_rt_preflight(&full, &report) == 0); /* its memory, before */
    if (!child_become_ordinary(limit))
        return SKIP_EXIT;
    NEED(securemem_rt_preflight(&full, &report) == 0);
    NEED(has(SECUREMEM_RT_CHECK_LOCK_LIMIT, SECUREMEM_RT_REFUSAL));
    need_refusal("RLIMIT_MEMLOCK", limit == 0 ? EPERM : ENOMEM);
    NEED(securemem_last_error()->limit == limit);
    NEED(securemem_last_error()->needed > limit);
    return 0;
}

static void small_limits_refuse_and_are_named(void **state)
{
    (void)state;
    size_t limits[] = {0, 64 * KIB};
    for (size_t i = 0; i < 2; i++)
        if (child_skips(enter_with, &limits[i]))
            SKIP("this process may not become another user");
}

/* What fits is entered; what is asked for beyond it is refused now and not later. */
static int enter_with_8_mib(void *argument)
{
    (void)argument;
    if (!child_become_ordinary(8 * MIB))
        return SKIP_EXIT;
    const securemem_rt_plan large = {.heap = 64 * MIB}, threads = {.threads = 100};
    NEED(securemem_rt_enter(&large) == -ENOMEM && !securemem_rt_active());
    NEED(securemem_rt_enter(&threads) == -ENOMEM && !securemem_rt_active());
    int result = securemem_rt_enter(&full);
    if (result != 0) {
        fprintf(stderr, "%s\n", securemem_last_error()->message);
        return SKIP_EXIT; /* with these libraries the program alone is larger */
    }
    void *secret = securemem_alloc(32);
    NEED(secret != NULL);
    NEED(view_locked_bytes() <= 8 * MIB);
    NEED(securemem_rt_leave() == 0);
    securemem_protection says;
    NEED(securemem_protection(secret, &says) == 0 && says.lock.holds);
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0 && view_locked_bytes() == budget.charged);
    return 0;
}

static void a_limit_of_8_mib_holds_a_small_program_and_no_large_plan(void **state)
{
    (void)state;
    if (child_skips(enter_with_8_mib, NULL))
        SKIP("this process may not become another user, or does not fit");
}

/* The control: with a page less it is refused, and says so before. */
static int enter_with_what_is_planned(void *argument)
{
    const securemem_rt_plan *plan = argument;
    NEED(securemem_rt_preflight(plan, &report) == 0);
    size_t planned = report.planned, page = view_page_size();
    if (!child_become_ordinary(planned))
        return SKIP_EXIT;
    NEED(securemem_rt_preflight(plan, &report) == 0 && report.planned == planned);
    if (report.refusals > 0)
        return SKIP_EXIT; /* for something else: a sanitizer's shadow */
    int result = securemem_rt_enter(plan);
    if (result != 0)
        fprintf(stderr, "%s\n", securemem_last_error()->message);
    NEED(result == 0 && view_locked_bytes() <= planned);
    NEED(securemem_rt_leave() == 0);
    struct rlimit less = {planned - page, planned - page};
    NEED(setrlimit(RLIMIT_MEMLOCK, &less) == 0);
    NEED(securemem_rt_preflight(plan, &report) == 0);
    NEED(has(SECUREMEM_RT_CHECK_LOCK_LIMIT, SECUREMEM_RT_REFUSAL));
    NEED(securemem_rt_enter(plan) == -ENOMEM);
    return 0;
}

static void a_limit_of_what_is_planned_is_enough(void **state)
{
    (void)state;
    const securemem_rt_mode modes[] = {SECUREMEM_RT_FULL, SECUREMEM_RT_DECLARED,
                                       SECUREMEM_RT_REGION};
    const securemem_rt_plan sizes[] = {
        {0},
        {.threads = 2},
        {.threads = 4},
        {.stack = 4 * KIB, .thread_stack = 32 * KIB}, /* less than is mapped anyway */
        {.stack = 256 * KIB, .threads = 2, .thread_stack = 64 * KIB},
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            securemem_rt_plan plan = sizes[k];
            plan.mode = modes[i];
            if (child_skips(enter_with_what_is_planned, &plan))
                SKIP("the mode is refused here, or this process may not become another "
                     "user");
        }
}

/* Privileges that were dropped after entering: the secrets stay locked all the same. */
static int leave_without_privileges(void *argument)
{
    (void)argument;
    void *secret = securemem_alloc(32);
    char *filler =
        mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(secret != NULL && filler != MAP_FAILED);
    if (securemem_rt_enter(&full) != 0 || !child_become_ordinary(8 * MIB))
        return SKIP_EXIT;
    int result = securemem_rt_leave();
    if (result != 0)
        fprintf(stderr, "%s\n", securemem_last_error()->message);
    NEED(result == 0);
    securemem_rt_status status;
    NEED(securemem_rt_get_status(&status) == 0 && status.window && !status.active);
    securemem_protection says;
    NEED(securemem_protection(secret, &says) == 0 && says.lock.holds);
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0 && view_locked_bytes() == budget.charged);
    return 0;
}

static void
leaving_after_privileges_were_dropped_says_that_there_was_a_window(void **state)
{
    (void)state;
    if (child_skips(leave_without_privileges, NULL))
        SKIP("the mode is refused here, or this process may not become another user");
}

static int enter_in_a_namespace(void *argument)
{
    (void)argument;
    if (unshare(CLONE_NEWUSER) != 0)
        return SKIP_EXIT;
    NEED(securemem_rt_preflight(&full, &report) == 0);
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    if (budget.lock_limit == SIZE_MAX)
        return SKIP_EXIT; /* RLIMIT_MEMLOCK is unlimited */
    const securemem_rt_plan large = {.heap = budget.lock_limit};
    NEED(securemem_rt_preflight(&large, &report) == 0);
    NEED(has(SECUREMEM_RT_CHECK_NAMESPACE, SECUREMEM_RT_NOTE));
    NEED(has(SECUREMEM_RT_CHECK_LOCK_LIMIT, SECUREMEM_RT_REFUSAL));
    NEED(securemem_rt_enter(&large) == -ENOMEM);
    return 0;
}

static void in_a_user_namespace_the_capability_does_not_count(void **state)
{
    (void)state;
    if (child_skips(enter_in_a_namespace, NULL))
        SKIP("user namespaces are refused here, or the lock limit is none");
}

/* A control group of 10 MiB, of version 1 or 2; or where there is none, "". */
static char group[128];

static bool write_to(const char *name, const char *text)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", group, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool done = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return done;
}

static bool make_group(void)
{
    snprintf(group, sizeof group, "/sys/fs/cgroup/memory/securemem.%d", getpid());
    if (mkdir(group, 0700) == 0 && write_to("memory.limit_in_bytes", "10M"))
        return true;
    (void)rmdir(group);
    snprintf(group, sizeof group, "/sys/fs/cgroup/securemem.%d", getpid());
    if (mkdir(group, 0700) == 0 && write_to("memory.max", "10M"))
        return true;
    (void)rmdir(group);
    return false;
}

/* 32 MiB that are to be locked. */
static char *map_much(void)
{
    char *memory =
        mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    return memory;
}

static int enter_in_the_group(void *argument)
{
    char id[32];
    (void)argument;
    snprintf(id, sizeof id, "%d", getpid());
    NEED(write_to("cgroup.procs", id));
    char *memory = map_much();
    NEED(securemem_rt_preflight(&full, &report) == 0);
    NEED(has(SECUREMEM_RT_CHECK_CGROUP, SECUREMEM_RT_REFUSAL));
    need_refusal("control group", ENOMEM);
    NEED(munmap(memory, 32 * MIB) == 0);
    return 0;
}

/* The control: who does not ask is killed. */
static int lock_in_the_group(void *argument)
{
    char id[32];
    (void)argument;
    snprintf(id, sizeof id, "%d", getpid());
    NEED(write_to("cgroup.procs", id));
    (void)map_much();
    return mlockall(MCL_CURRENT) == 0 ? 0 : 3;
}

static void a_control_group_refuses_where_the_kernel_would_kill(void **state)
{
    (void)state;
    if (!make_group())
        SKIP("no memory control group can be made here");
    struct child_end asks, locks;
    child_run(enter_in_the_group, NULL, &asks);
    child_run(lock_in_the_group, NULL, &locks);
    for (int i = 0; i < 50 && rmdir(group) != 0; i++)
        (void)usleep(100000);
    if (asks.exit_code != 0)
        print_error("%s", asks.errors);
    assert_int_equal(asks.exit_code, 0);
    assert_int_equal(locks.signal, SIGKILL);
    assert_int_not_equal(access(group, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_limits_refuse_and_are_named),
        cmocka_unit_test(a_limit_of_what_is_planned_is_enough),
        cmocka_unit_test(a_limit_of_8_mib_holds_a_small_program_and_no_large_plan),
        cmocka_unit_test(
            leaving_after_privileges_were_dropped_says_that_there_was_a_window),
        cmocka_unit_test(in_a_user_namespace_the_capability_does_not_count),
        cmocka_unit_test(a_control_group_refuses_where_the_kernel_would_kill),
    };
    return RUN_GROUP(tests);
}
