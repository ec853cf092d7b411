/* SPDX-License-Identifier: ISC */
/* Entering and leaving: what is locked before, in between and afterwards. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/smaps.h"
#include "unit/truth.h"

#define MOST 100

#define TIMES 1000U

static const securemem_rt_plan full = SECUREMEM_RT_PLAN_DEFAULT;
static char *secrets[MOST];
static size_t made; /* of them */
static securemem_arena *arena;

static void make_secrets(securemem_guard_kind kind)
{
    arena = securemem_arena_create(&(securemem_arena_options){.guard_kind = kind});
    made = paced(MOST);
    for (size_t i = 0; i < made; i++) {
        secrets[i] = securemem_arena_alloc(arena, 64);
        NEED(secrets[i] != NULL);
        memset(secrets[i], (int)i + 1, 64);
    }
}

static void need_secrets_whole(void)
{
    for (size_t i = 0; i < made; i++) {
        securemem_protection report;
        NEED(securemem_protection(secrets[i], &report) == 0);
        NEED(report.lock.holds && report.guards.holds);
        NEED(report_is_true(secrets[i], 64) == 0);
        NEED(all_bytes_are(secrets[i], 64, (unsigned char)(i + 1)));
    }
}

/*
 * A call of the mode that has to succeed; if not, its error is told. An ordinary user's
 * limit may be too small for the process once it has threads.
 */
static void need_done(int result)
{
    if (result != 0)
        fprintf(stderr, "%s\n", securemem_last_error()->message);
    if (result == -ENOMEM && geteuid() != 0)
        _exit(SKIP_EXIT);
    NEED(result == 0);
}

/* Whether entering can work here; where not, the error says why. */
static bool can_enter(const securemem_rt_plan *plan)
{
    int result = securemem_rt_enter(plan);
    if (result == 0)
        return true;
    fprintf(stderr, "%s\n", securemem_last_error()->message);
    NEED(result == -ENOMEM || result == -EPERM || result == -ENOTSUP);
    return false;
}

static int enter_and_leave(void *argument)
{
    const securemem_rt_plan *plan = argument;
    make_secrets(SECUREMEM_GUARDS_AUTO);
    size_t locked = view_locked_bytes();
    if (!can_enter(plan))
        return SKIP_EXIT;
    NEED(securemem_rt_active());
    NEED(view_locked_bytes() > locked);
    need_secrets_whole();
    char *during = securemem_arena_alloc(arena, 64);
    NEED(during != NULL && report_is_true(during, 64) == 0);
    securemem_free(secrets[3]);
    secrets[3] = during;
    memset(during, 4, 64);
    need_secrets_whole();

    need_done(securemem_rt_enter(plan));
    need_done(securemem_rt_leave());
    NEED(securemem_rt_active());
    need_done(securemem_rt_leave());
    NEED(!securemem_rt_active());
    NEED(securemem_rt_leave() == -EINVAL);
    NEED(view_locked_bytes() == budget_now().charged);
    need_secrets_whole();
    void *fresh =
        mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(fresh != MAP_FAILED && view_locked_bytes() == budget_now().charged);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == budget_now().charged);
    return 0;
}

static void secrets_stay_protected_while_the_mode_comes_and_goes(void **state)
{
    (void)state;
    static char range[3 << 16];
    const securemem_rt_range ranges[] = {{range, sizeof range, true}};
    const securemem_rt_plan plans[] = {
        SECUREMEM_RT_PLAN_DEFAULT,
        {.mode = SECUREMEM_RT_FULL, .heap = 1 << 20, .threads = 3, .tune_malloc = true},
        {.mode = SECUREMEM_RT_DECLARED, .ranges = ranges, .range_count = 1},
        {.mode = SECUREMEM_RT_REGION, .ranges = ranges, .range_count = 1},
    };
    for (size_t i = 0; i < COUNT(plans); i++)
        if (child_skips(enter_and_leave, (void *)(uintptr_t)&plans[i]))
            SKIP("the mode is refused here");
}

static atomic_bool over, seen_unlocked;
static atomic_size_t looks;

/* Reads smaps again and again. */
static void *watch(void *argument)
{
    while (!atomic_load(&over)) {
        smaps_read();
        for (size_t i = 0; i < made; i++) {
            const struct smaps_entry *mapping = smaps_at(secrets[i]);
            if (mapping == NULL || !mapping->locked)
                atomic_store(&seen_unlocked, true);
        }
        atomic_fetch_add(&looks, 1);
        (void)usleep(1000); /* reading smaps keeps mlockall waiting */
    }
    return argument;
}

static int enter_and_leave_watched(void *argument)
{
    make_secrets(*(securemem_guard_kind *)argument);
    smaps_read(); /* its table, before it would be locked */
    if (!can_enter(&full))
        return SKIP_EXIT;
    need_done(securemem_rt_leave());
    size_t locked = view_locked_bytes();
    pthread_t watcher;
    NEED(pthread_create(&watcher, NULL, watch, NULL) == 0);
    for (size_t i = 0, times = paced(TIMES); i < times; i++) {
        need_done(securemem_rt_enter(&full));
        need_done(securemem_rt_leave());
        NEED(view_locked_bytes() == locked);
    }
    NEED(atomic_load(&looks) >= 20 && !atomic_load(&seen_unlocked));
    /* The control: leaving as mlockall(2) suggests is seen. */
    for (int i = 0; i < 10000 && !atomic_load(&seen_unlocked); i++) {
        NEED(mlockall(MCL_CURRENT) == 0);
        NEED(munlockall() == 0);
    }
    bool control = atomic_load(&seen_unlocked);
    atomic_store(&over, true);
    NEED(pthread_join(watcher, NULL) == 0);
    NEED(control);
    return 0;
}

static void a_watcher_of_smaps_sees_no_secret_unlocked(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds);
    for (size_t k = 0; k < count; k++)
        if (child_skips(enter_and_leave_watched, &kinds[k]))
            SKIP("the mode is refused here");
}

/* Threads allocate and free all the while. */
static void *come_and_go(void *argument)
{
    securemem_arena *own = securemem_arena_create(NULL);
    while (!atomic_load(&over)) {
        char *secret = securemem_arena_alloc(own, 5000);
        if (secret == NULL)
            fprintf(stderr, "%s\n", securemem_last_error()->message);
        NEED(secret != NULL && view_readable(secret));
        NEED(!view_readable(guard_behind(secret, 5000)));
        memset(secret, 1, 5000);
        securemem_free(secret);
    }
    securemem_arena_destroy(own);
    return argument;
}

static int enter_beside_threads(void *argument)
{
    (void)argument;
    make_secrets(SECUREMEM_GUARDS_AUTO);
    if (!can_enter(&full))
        return SKIP_EXIT;
    need_done(securemem_rt_leave());
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        NEED(pthread_create(&threads[i], NULL, come_and_go, NULL) == 0);
    for (size_t i = 0, times = paced(50); i < times; i++) {
        need_done(securemem_rt_enter(&full));
        need_done(securemem_rt_leave());
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < 2; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    need_secrets_whole();
    NEED(view_locked_bytes() == budget_now().charged);
    return 0;
}

static void arenas_work_beside_who_enters_and_leaves(void **state)
{
    (void)state;
    if (child_skips(enter_beside_threads, NULL))
        SKIP("the mode is refused here");
}

static int keep_own_locks(void *argument)
{
    (void)argument;
    size_t page = view_page_size();
    char *memory =
        mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED && mlock(memory + 2 * page, 3 * page) == 0);
    if (!can_enter(&full))
        return SKIP_EXIT;
    struct view view;
    NEED(view_at(memory, &view) && view_has(&view, "lo"));
    need_done(securemem_rt_leave());
    for (size_t i = 0; i < 8; i++) {
        NEED(view_at(memory + i * page, &view));
        NEED(view_has(&view, "lo") == (i >= 2 && i < 5));
    }
    NEED(view_locked_bytes() == budget_now().charged + 3 * page);
    return 0;
}

static void what_the_program_had_locked_stays_locked(void **state)
{
    (void)state;
    if (child_skips(keep_own_locks, NULL))
        SKIP("the mode is refused here");
}

static int under_a_mode_of_its_own(void *argument)
{
    (void)argument;
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0 || !can_enter(&full))
        return SKIP_EXIT;
    need_done(securemem_rt_leave());
    void *fresh =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct view view;
    NEED(fresh != MAP_FAILED && view_at(fresh, &view) && view_has(&view, "lo"));
    return 0;
}

static void who_had_locked_everything_keeps_that(void **state)
{
    (void)state;
    if (child_skips(under_a_mode_of_its_own, NULL))
        SKIP("mlockall is refused here");
}

static int child_is_not_in_it(void *argument)
{
    (void)argument;
    NEED(!securemem_rt_active());
    NEED(securemem_rt_leave() == -EINVAL);
    NEED(view_locked_bytes() == budget_now().charged);
    need_done(securemem_rt_enter(&full));
    NEED(securemem_rt_active());
    need_done(securemem_rt_leave());
    NEED(view_locked_bytes() == budget_now().charged);
    return 0;
}

static int fork_in_the_mode(void *argument)
{
    (void)argument;
    make_secrets(SECUREMEM_GUARDS_AUTO);
    const size_t bytes = 32UL << 20;
    void *much =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(much != MAP_FAILED);
    memset(much, 1, bytes);
    if (!can_enter(&full))
        return SKIP_EXIT;
    securemem_rt_status before, after;
    NEED(securemem_rt_get_status(&before) == 0);
    struct child_end end;
    child_run(child_is_not_in_it, NULL, &end);
    fputs(end.errors, stderr);
    NEED(end.exit_code == 0);
    NEED(securemem_rt_get_status(&after) == 0);
    NEED(after.forks == before.forks + 1 && after.active);
    NEED(after.fork_time > before.fork_time && after.fork_time < 10000000000U);
    NEED(after.fork_shared >= 32UL << 20 && after.fork_shared < 64UL << 20);
    need_done(securemem_rt_leave());
    return 0;
}

static void a_forked_child_is_not_in_the_mode(void **state)
{
    (void)state;
    if (child_skips(fork_in_the_mode, NULL))
        SKIP("the mode is refused here");
}

static int exec_in_the_mode(void *argument)
{
    (void)argument;
    if (!can_enter(&full))
        return SKIP_EXIT;
    execl("/bin/sh", "sh", "-c", "grep -q '^VmLck:[[:space:]]*0 kB' /proc/$$/status",
          NULL);
    return SKIP_EXIT;
}

static void a_program_that_is_executed_begins_without_locks(void **state)
{
    (void)state;
    if (child_skips(exec_in_the_mode, NULL))
        SKIP("the mode is refused here, or there is no shell");
}

static void a_plan_that_is_none_is_an_error(void **state)
{
    (void)state;
    static securemem_rt_preflight_report report;
    const securemem_rt_range empty = {&report, 0, false};
    char *hole =
        mmap(NULL, 3 * view_page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(hole != MAP_FAILED);
    assert_int_equal(munmap(hole + view_page_size(), view_page_size()), 0);
    const securemem_rt_range unmapped = {hole, 3 * view_page_size(), false};
    const securemem_rt_plan plans[] = {
        {.mode = (securemem_rt_mode)3},
        {.mode = SECUREMEM_RT_REGION, .heap = 1},
        {.range_count = 1},
        {.ranges = &empty, .range_count = 1},
        {.ranges = &unmapped, .range_count = 1},
        {.threads = SIZE_MAX / 2, .thread_stack = 3},
        {.reserved = {0, 0, 0, 1}},
    };
    for (size_t i = 0; i < COUNT(plans); i++) {
        assert_int_equal(securemem_rt_preflight(&plans[i], &report), -EINVAL);
        assert_int_equal(securemem_rt_enter(&plans[i]), -EINVAL);
        assert_false(securemem_rt_active());
    }
    assert_int_equal(securemem_rt_enter(NULL), -EINVAL);
    assert_int_equal(securemem_rt_preflight(&full, NULL), -EINVAL);
    assert_int_equal(securemem_rt_get_status(NULL), -EINVAL);
}

static const securemem_rt_result *find(const securemem_rt_preflight_report *report,
                                       securemem_rt_check check)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->results[i].check == check)
            return &report->results[i];
    return NULL;
}

static void a_stack_without_room_is_refused_before_anything_is_done(void **state)
{
    (void)state;
    static securemem_rt_preflight_report report;
    const securemem_rt_plan deep = {.stack = (size_t)1 << 46};
    assert_int_equal(securemem_rt_preflight(&deep, &report), 0);
    const securemem_rt_result *result = find(&report, SECUREMEM_RT_CHECK_STACK);
    assert_non_null(result);
    assert_int_equal(result->severity, SECUREMEM_RT_REFUSAL);
    assert_int_equal(securemem_rt_enter(&deep), -ENOMEM);
    assert_false(securemem_rt_active());
}

static void *call_malloc(void *argument)
{
    void *volatile block = malloc(100);
    free(block);
    return argument;
}

/* What preflight says that malloc takes for a thread is what the kernel charges for one. */
static int charge_a_thread(void *argument)
{
    static securemem_rt_preflight_report report;
    securemem_rt_plan plan = {.threads = 1, .tune_malloc = *(bool *)argument};
    NEED(securemem_rt_preflight(&plan, &report) == 0);
    const securemem_rt_result *result = find(&report, SECUREMEM_RT_CHECK_MALLOC);
    if (plan.tune_malloc) {
        NEED(result == NULL);
        return 0;
    }
    NEED(result == NULL || result->needed > 0);
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    if (result == NULL || !budget.lock_unlimited || securemem_rt_enter(&plan) != 0)
        return SKIP_EXIT; /* no glibc, or under a limit, which has no room for it */
    size_t before = view_locked_bytes();
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, call_malloc, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    NEED(view_locked_bytes() - before >= result->needed);
    return 0;
}

static void what_malloc_takes_for_threads_is_told_unless_it_is_tuned(void **state)
{
    (void)state;
    for (int tuned = 0; tuned < 2; tuned++)
        CHILD_PASSES(charge_a_thread, &(bool){tuned == 1});
}

static void preflight_changes_nothing(void **state)
{
    (void)state;
    static securemem_rt_preflight_report report;
    size_t locked = view_locked_bytes(), mappings = view_mappings(),
           descriptors = view_descriptors();
    assert_int_equal(securemem_rt_preflight(&full, &report), 0);
    assert_true(report.planned > 0);
    for (size_t i = 0; i < report.count; i++)
        assert_true(strlen(report.results[i].sentence) > 20);
    assert_int_equal(view_locked_bytes(), locked);
    assert_int_equal(view_mappings(), mappings);
    assert_int_equal(view_descriptors(), descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_stay_protected_while_the_mode_comes_and_goes),
        cmocka_unit_test(a_watcher_of_smaps_sees_no_secret_unlocked),
        cmocka_unit_test(arenas_work_beside_who_enters_and_leaves),
        cmocka_unit_test(what_the_program_had_locked_stays_locked),
        cmocka_unit_test(who_had_locked_everything_keeps_that),
        cmocka_unit_test(a_forked_child_is_not_in_the_mode),
        cmocka_unit_test(a_program_that_is_executed_begins_without_locks),
        cmocka_unit_test(a_plan_that_is_none_is_an_error),
        cmocka_unit_test(a_stack_without_room_is_refused_before_anything_is_done),
        cmocka_unit_test(what_malloc_takes_for_threads_is_told_unless_it_is_tuned),
        cmocka_unit_test(preflight_changes_nothing),
    };
    return RUN_GROUP(tests);
}
