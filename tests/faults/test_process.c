/* SPDX-License-Identifier: ISC */
/*
 * Hardening, handlers of the end, and ranges, while every call to the kernel fails in turn:
 * nothing is said to hold that does not, and what is refused leaves all as it was.
 */
#include <errno.h>
#include <securemem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "faults/plans.h"
#include "faults/trials.h"
#include "region/ranges.h"
#include "support/need.h"
#include "support/view.h"

#define PAGES     8U
#define SIGNALS   32
#define BOTH      (SECUREMEM_SIGNALS_FAULTS | SECUREMEM_SIGNALS_TERMINATION)
#define GET_MDWE  66
#define GET_MERGE 68

static char *memory;
static size_t page;
static securemem_process_report report;

/* What a refused call has to leave as it was. */
struct holdings {
    size_t locked, mappings, held;
    bool pages[PAGES];
    stack_t alternate;
    struct sigaction actions[SIGNALS];
};

static bool page_is_locked(size_t i)
{
    struct view view;
    return view_at(memory + i * page, &view) && view_has(&view, "lo");
}

static void take(struct holdings *out)
{
    memset(out, 0, sizeof *out);
    out->locked = view_locked_bytes();
    out->mappings = view_mappings();
    out->held = smem_range_bytes();
    for (size_t i = 0; i < PAGES; i++)
        out->pages[i] = page_is_locked(i);
    NEED(sigaltstack(NULL, &out->alternate) == 0);
    for (int i = 1; i < SIGNALS; i++)
        NEED(sigaction(i, NULL, &out->actions[i]) == 0);
}

/* What is done under faults: 0, or the negative errno of a refusal. */
static int harden(void)
{
    return securemem_process_harden(SECUREMEM_HARDEN_ALL, &report);
}

static int wipe_on_exit(void)
{
    return securemem_wipe_on_exit(true);
}

static int take_signals(void)
{
    return securemem_wipe_on_fatal_signal(BOTH);
}

static int take_fewer_signals(void)
{
    return securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS);
}

static int give_signals_back(void)
{
    return securemem_wipe_on_fatal_signal(0);
}

static int take_stack(void)
{
    return securemem_signal_stack();
}

static bool is_whole; /* this kernel has all that there is to harden */

static int skip_without_all(void *unused)
{
    (void)unused;
    return harden() == 0 ? 0 : SKIP_EXIT;
}

/* Around a page that is held already: three stretches, two of them to be locked. */
static int lock_range(void)
{
    return securemem_lock_range(memory, PAGES * page);
}

static int unlock_range(void)
{
    return securemem_unlock_range(memory, PAGES * page);
}

static void hold_one(void)
{
    NEED(securemem_lock_range(memory + 3 * page, page) == 0);
}

static void hold_all(void)
{
    hold_one();
    NEED(lock_range() == 0);
}

static void hold_signals(void)
{
    NEED(take_signals() == 0);
}

static void hold_nothing(void)
{
}

/* Nothing is said to hold that the kernel does not say by another way. */
static void need_truth(int result)
{
    struct rlimit core;
    NEED(getrlimit(RLIMIT_CORE, &core) == 0 && report.count == 5);
    const bool holds[] = {core.rlim_cur == 0 && core.rlim_max == 0,
                          prctl(PR_GET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) == 0,
                          prctl(PR_GET_NO_NEW_PRIVS, 0UL, 0UL, 0UL, 0UL) == 1,
                          prctl(GET_MDWE, 0UL, 0UL, 0UL, 0UL) == 1,
                          prctl(GET_MERGE, 0UL, 0UL, 0UL, 0UL) != 1};
    for (size_t i = 0; i < report.count; i++) {
        bool said = report.results[i].outcome == SECUREMEM_HARDEN_GRANTED ||
                    report.results[i].outcome == SECUREMEM_HARDEN_ALREADY;
        NEED(!said || holds[i]);
        NEED(said || result != 0 ||
             report.results[i].outcome == SECUREMEM_HARDEN_NEEDLESS);
    }
}

static void need_nothing(int result)
{
    (void)result;
}

struct act {
    const char *name;
    void (*before)(void);
    int (*act)(void);
    void (*after)(int result);
    bool cold; /* the first of its process: bookkeeping that it makes stays */
};

static const struct act acts[] = {
    {"harden", hold_nothing, harden, need_truth, false},
    {"wipe on exit", hold_nothing, wipe_on_exit, need_nothing, false},
    {"take signals", hold_nothing, take_signals, need_nothing, false},
    {"take signals, the first call", hold_nothing, take_signals, need_nothing, true},
    {"take fewer signals", hold_signals, take_fewer_signals, need_nothing, false},
    {"give signals back", hold_signals, give_signals_back, need_nothing, false},
    {"a signal stack", hold_nothing, take_stack, need_nothing, false},
    {"lock a range", hold_one, lock_range, need_nothing, false},
    {"lock a range, the first call", hold_nothing, lock_range, need_nothing, true},
    {"unlock a range", hold_all, unlock_range, need_nothing, false},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
};

static void need_as_before(const struct trial *trial, const struct holdings *before)
{
    struct holdings now;
    take(&now);
    for (int i = 1; i < SIGNALS; i++)
        NEED(now.actions[i].sa_handler == before->actions[i].sa_handler ||
             (trial->plan->function == FAULT_UNSET_FATAL && trial->plan->onward) ||
             trial->plan->then == FAULT_UNSET_FATAL);
    NEED(now.alternate.ss_sp == before->alternate.ss_sp ||
         trial->plan->function == FAULT_SET_ALTERNATE);
    if (!plan_is_single(trial->plan))
        return; /* a second refusal while the first is undone */
    NEED(now.held == before->held);
    /* Where munlock or munmap is refused, more stays locked or mapped; never less. */
    bool given_back =
        trial->plan->function != FAULT_UNLOCK && trial->plan->function != FAULT_UNMAP;
    NEED(given_back ? now.locked == before->locked : now.locked >= before->locked);
    NEED(now.mappings == before->mappings || !given_back || trial->act->cold);
    for (size_t i = 0; i < PAGES; i++)
        NEED(now.pages[i] == before->pages[i] || (!given_back && now.pages[i]));
}

static void warm_up(void)
{
    NEED(take_signals() == 0 && give_signals_back() == 0);
    NEED(lock_range() == 0 && unlock_range() == 0);
}

static int try_one(void *argument)
{
    struct trial *trial = argument;
    struct holdings before;
    page = view_page_size();
    memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    NEED(memory != MAP_FAILED);
    for (int i = 1; i < SIGNALS; i++)
        (void)signal(i, SIG_DFL); /* refused for some, which are at their default */
    if (!trial->act->cold)
        warm_up();
    trial->act->before();
    take(&before);
    (void)securemem_size(NULL); /* another record, which a refusal replaces */
    fault_arm(trial->plan);
    int result = trial->act->act();
    fault_disarm();

    NEED(result <= 0);
    smem_range_check();
    trial->act->after(result);
    if (result != 0) {
        NEED(securemem_last_error()->code == -result && result != -EINVAL);
        NEED(strlen(securemem_last_error()->message) > 20);
        if (trial->act->act != harden)
            need_as_before(trial, &before);
    }
    /* What is held is locked, whatever was refused. */
    NEED(view_locked_bytes() >= smem_range_bytes());
    /* A refusal does not last. */
    if (plan_is_single(trial->plan)) {
        bool lacks = trial->act->act == harden && !is_whole;
        NEED(result == 0 || trial->act->act() == 0 || lacks);
        NEED(give_signals_back() == 0);
    }
    return 0;
}

static void try_all(const struct act *act)
{
    struct trial trial = {.act = act, .plan = trials_plan()};
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = true};
    snprintf(trials.name, sizeof trials.name, "%s", act->name);
    assert_true(trials_run(&trials));
}

static void nothing_is_said_to_hold_that_was_refused_and_all_is_undone(void **state)
{
    (void)state;
    is_whole = !child_skips(skip_without_all, NULL);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        try_all(&acts[i]);
    trials_end(1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_to_hold_that_was_refused_and_all_is_undone),
    };
    return RUN_GROUP(tests);
}
