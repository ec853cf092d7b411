/* SPDX-License-Identifier: ISC */
/* What is reported and charged is what the kernel says, for every set of options. */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/truth.h"

#define POLICIES 3 /* from REQUIRED on */

static securemem_policy policy_of(unsigned number)
{
    return (securemem_policy)(SECUREMEM_REQUIRED + number % POLICIES);
}

/* One set of options, and what is asked of one secret in it. */
struct order {
    securemem_arena_options options;
    size_t size;
    securemem_access access;
};

/*
 * The sanitizers' shadow memory makes a read of smaps ten times as slow, as emulation does:
 * there, one set in seven, a number that has no factor in common with the counts of what is
 * combined.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SLOW true
#else
#define IS_SLOW (pace() > 1)
#endif

static bool gu_is_shown;

/* smaps shows guard regions by "gu" in newer kernels than have them. */
static void look_for_gu(void)
{
    size_t page = view_page_size();
    char *start = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(start != MAP_FAILED);
    struct view view;
    gu_is_shown = madvise(start, page, ADVICE_GUARD_INSTALL) == 0 &&
                  view_at(start, &view) && view_has(&view, "gu");
    munmap(start, page);
}

static bool asked(securemem_policy policy)
{
    return policy != SECUREMEM_OFF;
}

static void expect_flags(const struct order *order, const char *secret)
{
    const securemem_arena_options *o = &order->options;
    bool safe = asked(o->fork_safety);
    struct view view;
    assert_true(view_at(secret, &view));
    assert_int_equal(view_has(&view, "lo"), asked(o->lock));
    assert_int_equal(view_has(&view, "dd"), asked(o->no_dump));
    assert_int_equal(view_has(&view, "wf"), safe && o->fork == SECUREMEM_FORK_WIPE);
    assert_int_equal(view_has(&view, "dc"), safe && o->fork == SECUREMEM_FORK_DROP);
    assert_false(view_has(&view, "mg"));
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
        assert_true(view_has(&view, "nh")); /* never copied into a huge page */
}

static void expect_guards(const struct order *order, const char *secret,
                          const securemem_protection *report)
{
    struct view view;
    assert_true(view_at(secret, &view));
    bool regions = report->guard_kind == SECUREMEM_GUARDS_REGION;
    if (asked(order->options.guards)) {
        assert_int_not_equal(report->guard_kind, SECUREMEM_GUARDS_AUTO);
        if (order->options.guard_kind != SECUREMEM_GUARDS_AUTO)
            assert_int_equal(report->guard_kind, order->options.guard_kind);
        assert_int_equal(report->guards.holds, 1);
    } else {
        assert_int_equal(report->guard_kind, SECUREMEM_GUARDS_AUTO);
    }
    /*
     * Access of its own splits the mapping, so that "gu" may be with the neighbours. Its
     * absence says nothing: it stays with a mapping, and mappings merge.
     */
    if (order->access == SECUREMEM_WRITE && gu_is_shown && regions)
        assert_true(view_has(&view, "gu"));
}

static void expect_report(const struct order *order, const securemem_protection *report)
{
    const securemem_arena_options *o = &order->options;
    const securemem_protection_state *states[] = {&report->lock, &report->guards,
                                                  &report->no_dump, &report->fork_safety,
                                                  &report->no_merge};
    const securemem_policy policies[] = {o->lock, o->guards, o->no_dump, o->fork_safety,
                                         o->no_merge};
    for (size_t i = 0; i < COUNT(states); i++) {
        assert_int_equal(states[i]->asked, policies[i] == SECUREMEM_DEFAULT
                                               ? SECUREMEM_REQUIRED
                                               : policies[i]);
        assert_int_equal(states[i]->refused, 0);
        if (asked(policies[i]))
            assert_int_equal(states[i]->holds, 1);
    }
    assert_int_equal(report->access, order->access);
    assert_int_equal(report->resting_access, order->access);
    assert_int_equal(report->open_scopes, 0);
    assert_int_equal(report->fork, o->fork);
    assert_int_equal(report->inheritance, SECUREMEM_NATIVE);
    assert_int_equal(report->placement, SECUREMEM_GUARDED);
    assert_int_equal(report->alignment, SECUREMEM_ALIGNMENT);
    assert_int_equal(report->size, order->size);
}

static void expect_order(const struct order *order)
{
    securemem_arena *arena = arena_of(order->options);
    size_t locked = view_locked_bytes(), charged = budget_now().charged;
    char *secret = securemem_arena_alloc(arena, order->size);
    assert_non_null(secret);
    assert_int_equal(securemem_set_access(secret, order->access), 0);

    securemem_protection report;
    assert_int_equal(securemem_protection(secret, &report), 0);
    expect_flags(order, secret);
    expect_guards(order, secret, &report);
    expect_report(order, &report);
    assert_int_equal(report_is_true(secret, order->size), 0);

    size_t delta = view_locked_bytes() - locked;
    assert_int_equal(delta, budget_now().charged - charged);
    bool regions = report.guard_kind == SECUREMEM_GUARDS_REGION;
    size_t guards = regions ? 2 * view_page_size() : 0;
    assert_int_equal(delta, asked(order->options.lock) ? report.pages_size + guards : 0);

    securemem_free(secret);
    if (order->options.idle == 0)
        assert_int_equal(view_locked_bytes(), locked);
    else
        assert_int_equal(view_locked_bytes(), locked + delta);
    assert_int_equal(view_locked_bytes() - locked, budget_now().charged - charged);
    securemem_arena_destroy(arena);
    assert_int_equal(view_locked_bytes(), locked);
    assert_int_equal(budget_now().charged, charged);
}

static bool kind_exists(int kind)
{
    return kind != SECUREMEM_GUARDS_REGION || view_guard_regions_exist();
}

/*
 * All sets of policies, fork policies and guard kinds: 2,187. Size, access and idle take
 * turns, by strides that have no factor in common with what they are counted against, so
 * that each of their values meets each of every other.
 */
static void every_set_of_policies_is_what_the_kernel_says(void **state)
{
    (void)state;
    unsigned sets = 0, every = IS_SLOW ? 7 : 1;
    for (unsigned policies = 0; policies < 243; policies++)
        for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++)
            for (int kind = SECUREMEM_GUARDS_AUTO; kind <= SECUREMEM_GUARDS_REGION;
                 kind++) {
                unsigned turn = sets++ * 7 + policies / 5;
                if (sets % every != 0 || !kind_exists(kind))
                    continue;
                struct order order = {
                    .options = {.lock = policy_of(policies),
                                .guards = policy_of(policies / 3),
                                .no_dump = policy_of(policies / 9),
                                .fork_safety = policy_of(policies / 27),
                                .no_merge = policy_of(policies / 81),
                                .fork = (securemem_fork)fork,
                                .guard_kind = (securemem_guard_kind)kind,
                                .idle = turn / 6 % 2 == 0 ? 0 : SIZE_MAX},
                    .size = turn % 2 == 0 ? view_page_size() : 3 * view_page_size(),
                    .access = (securemem_access)(turn / 2 % 3)};
                expect_order(&order);
            }
}

/* The turns above, all of them against all, with the default policies. */
static void every_size_access_and_idle_is_what_the_kernel_says(void **state)
{
    (void)state;
    for (int fork = SECUREMEM_FORK_WIPE; fork <= SECUREMEM_FORK_KEEP; fork++)
        for (int kind = SECUREMEM_GUARDS_AUTO; kind <= SECUREMEM_GUARDS_REGION; kind++)
            for (int turn = 0; turn < 12 && kind_exists(kind); turn++) {
                struct order order = {
                    .options = {.fork = (securemem_fork)fork,
                                .guard_kind = (securemem_guard_kind)kind,
                                .idle = turn / 6 == 0 ? 0 : SIZE_MAX},
                    .size = turn % 2 == 0 ? view_page_size() : 3 * view_page_size(),
                    .access = (securemem_access)(turn / 2 % 3)};
                expect_order(&order);
            }
}

/* What the process locks itself is not the library's. */
static void the_budget_report_is_what_the_kernel_says(void **state)
{
    (void)state;
    size_t page = view_page_size();
    void *secret = securemem_alloc(1);
    assert_non_null(secret);
    size_t charged = view_locked_bytes();
    char *own =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(own != MAP_FAILED && syscall(SYS_mlock, own, page) == 0);
    assert_int_equal(view_locked_bytes(), charged + page);
    securemem_budget_report report = budget_now();
    assert_int_equal(report.charged_process, charged + page);
    assert_int_equal(report.charged, charged);
    assert_in_range(report.mappings, view_mappings() - 1, view_mappings() + 1);
    assert_int_equal(report.secrets, 1);
    if (!report.lock_unlimited)
        assert_int_equal(report.available, report.lock_limit - view_locked_bytes());
    else
        assert_int_equal(report.available, SIZE_MAX);
    assert_int_equal(munmap(own, page), 0);
    securemem_free(secret);
    assert_int_equal(securemem_budget(NULL), -EINVAL);
}

#define LIMIT ((size_t)64 << 10)

/* CAP_IPC_LOCK of another user namespace than the first lifts no limit (capabilities(7)). */
static int ask_in_a_namespace(void *argument)
{
    (void)argument;
    const struct rlimit limit = {LIMIT, LIMIT};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || unshare(CLONE_NEWUSER) != 0)
        return SKIP_EXIT;
    char *memory = mmap(NULL, 2 * LIMIT, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    NEED(syscall(SYS_mlock, memory, 2 * LIMIT) != 0 && errno == ENOMEM);
    NEED(munmap(memory, 2 * LIMIT) == 0);
    securemem_budget_report report;
    NEED(securemem_budget(&report) == 0);
    NEED(report.lock_unlimited == 0 && report.lock_limit == LIMIT);
    NEED(report.available == LIMIT - view_locked_bytes());
    return 0;
}

static void in_a_user_namespace_the_limit_counts(void **state)
{
    (void)state;
    CHILD_PASSES(ask_in_a_namespace, NULL);
}

/* The limits without which nothing can be asked are named, too. */
static int ask_without_descriptors(void *argument)
{
    (void)argument;
    securemem_budget_report report;
    struct rlimit none;
    NEED(getrlimit(RLIMIT_NOFILE, &none) == 0);
    none.rlim_cur = 0;
    NEED(setrlimit(RLIMIT_NOFILE, &none) == 0);
    NEED(securemem_budget(&report) == -EAGAIN);
    NEED(strstr(securemem_last_error()->message, "RLIMIT_NOFILE") != NULL);
    return 0;
}

static void without_descriptors_their_limit_is_named(void **state)
{
    (void)state;
    CHILD_PASSES(ask_without_descriptors, NULL);
}

int main(void)
{
    look_for_gu();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_report_is_what_the_kernel_says),
        cmocka_unit_test(in_a_user_namespace_the_limit_counts),
        cmocka_unit_test(without_descriptors_their_limit_is_named),
        cmocka_unit_test(every_set_of_policies_is_what_the_kernel_says),
        cmocka_unit_test(every_size_access_and_idle_is_what_the_kernel_says),
    };
    return RUN_GROUP(tests);
}
