/* SPDX-License-Identifier: ISC */
/*
 * Real-time mode while every call to the kernel fails in turn: what is refused leaves the
 * process as it was, and no secret is ever unlocked.
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

#include "faults/trials.h"
#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define SECRETS 4

static char *secrets[SECRETS];
static char memory[64 * 1024];
static const securemem_rt_range range = {memory, sizeof memory, true};
static const securemem_rt_plan full = {.ranges = &range, .range_count = 1};
static const securemem_rt_plan declared = {
    .mode = SECUREMEM_RT_DECLARED, .ranges = &range, .range_count = 1};
static const securemem_rt_plan region = {
    .mode = SECUREMEM_RT_REGION, .ranges = &range, .range_count = 1};
static securemem_rt_audit_report audit_report;
static securemem_rt_preflight_report preflight_report;
static securemem_rt_section section;

/* What a refused call has to leave as it was. */
struct holdings {
    size_t locked, mappings, descriptors;
    struct rlimit limit;
    int no_huge_pages;
    struct sigaction trap;
};

static void take(struct holdings *out)
{
    memset(out, 0, sizeof *out);
    out->locked = view_locked_bytes();
    out->mappings = view_mappings();
    out->descriptors = view_descriptors();
    out->no_huge_pages = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
    NEED(getrlimit(RLIMIT_MEMLOCK, &out->limit) == 0);
    NEED(sigaction(SIGTRAP, NULL, &out->trap) == 0);
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* What is done under faults: 0, or the negative errno of a refusal. */
static int enter_full(void)
{
    return securemem_rt_enter(&full);
}

static int enter_declared(void)
{
    return securemem_rt_enter(&declared);
}

static int enter_region(void)
{
    return securemem_rt_enter(&region);
}

static int preflight(void)
{
    return securemem_rt_preflight(&full, &preflight_report);
}

static int audit(void)
{
    return securemem_rt_audit(&audit_report);
}

static int run_section(void)
{
    section.flags = 0;
    int result = securemem_rt_section_begin(&section);
    return result == 0 ? securemem_rt_section_end(&section) : result;
}

static int run_trapped_section(void)
{
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    int result = securemem_rt_section_begin(&section);
    return result == 0 ? securemem_rt_section_end(&section) : result;
}

static int run_thread(void)
{
    securemem_rt_thread *thread;
    int result = securemem_rt_thread_create(&thread, NULL, do_nothing, NULL);
    return result == 0 ? securemem_rt_thread_join(thread, NULL) : result;
}

static int leave(void)
{
    return securemem_rt_leave();
}

struct act {
    const char *name;
    int (*act)(void);
    bool enters; /* the mode is on afterwards, unless it is refused */
    bool leaves; /* it was on before */
};

static const struct act acts[] = {
    {"enter, everything", enter_full, true, false},
    {"enter, declared ranges", enter_declared, true, false},
    {"enter, ranges alone", enter_region, true, false},
    {"preflight", preflight, false, false},
    {"audit", audit, false, false},
    {"a section", run_section, false, false},
    {"a section that traps", run_trapped_section, false, false},
    {"a thread", run_thread, false, false},
    {"leave", leave, false, true},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
};

static void need_secrets_locked(void)
{
    smaps_read();
    for (size_t i = 0; i < SECRETS; i++) {
        const struct smaps_entry *entry = smaps_at(secrets[i]);
        NEED(entry != NULL && entry->locked);
        NEED(secrets[i][0] == (char)(i + 1));
    }
}

/* A refusal to undo leaves more locked than before, never less. */
static void need_as_before(const struct trial *trial, const struct holdings *before)
{
    struct holdings now;
    take(&now);
    bool undone = trial->plan->function != FAULT_UNLOCK && !trial->plan->onward;
    NEED(undone ? now.locked == before->locked : now.locked >= before->locked);
    /* A descriptor that is said not to be closed is; what is not unmapped stays. */
    NEED(now.mappings == before->mappings || trial->plan->function == FAULT_UNMAP ||
         !undone);
    NEED(now.descriptors == before->descriptors);
    NEED(now.no_huge_pages == before->no_huge_pages || trial->plan->onward);
    NEED(now.limit.rlim_cur == before->limit.rlim_cur || trial->plan->onward);
    NEED(now.trap.sa_handler == before->trap.sa_handler ||
         trial->plan->function == FAULT_UNSET_TRAP);
}

/* Pools and descriptors that stay are there before anything is compared. */
static bool warm_up(void)
{
    return securemem_rt_enter(&declared) == 0 && securemem_rt_leave() == 0 &&
           run_thread() == 0 && run_section() == 0 && run_trapped_section() == 0 &&
           audit() == 0;
}

static int try_one(void *argument)
{
    struct trial *trial = argument;
    struct holdings before;
    smaps_read();
    for (size_t i = 0; i < SECRETS; i++) {
        secrets[i] = securemem_alloc(64);
        NEED(secrets[i] != NULL);
        secrets[i][0] = (char)(i + 1);
    }
    if (!warm_up())
        return SKIP_EXIT;
    if (trial->act->leaves && securemem_rt_enter(&full) != 0)
        return SKIP_EXIT;
    take(&before);
    (void)securemem_size(NULL); /* another record, which a refusal replaces */
    fault_arm(trial->plan);
    int result = trial->act->act();
    fault_disarm();

    NEED(result <= 0);
    need_secrets_locked();
    if (result != 0) {
        NEED(securemem_last_error()->code == -result && result != -EINVAL);
        NEED(strlen(securemem_last_error()->message) > 20);
        NEED(securemem_rt_active() == trial->act->leaves);
        if (!trial->act->leaves)
            need_as_before(trial, &before);
    } else {
        NEED(securemem_rt_active() == trial->act->enters);
    }
    /* A refusal does not last. */
    while (securemem_rt_active())
        NEED(securemem_rt_leave() == 0);
    need_secrets_locked();
    NEED(securemem_rt_enter(&full) == 0 && securemem_rt_leave() == 0);
    need_secrets_locked();
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    bool undone = trial->plan->function != FAULT_UNLOCK &&
                  trial->plan->function != FAULT_IS_LOCKED && !trial->plan->onward;
    NEED(!undone || view_locked_bytes() == budget.charged);
    return 0;
}

static bool try_all(const struct act *act)
{
    struct trial trial = {.act = act, .plan = trials_plan()};
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = false};
    snprintf(trials.name, sizeof trials.name, "%s", act->name);
    return trials_run(&trials);
}

static void
real_time_mode_under_every_fault_is_undone_and_keeps_secrets_locked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!try_all(&acts[i]))
            SKIP("the mode, or its witness, is refused here");
    trials_end(1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            real_time_mode_under_every_fault_is_undone_and_keeps_secrets_locked),
    };
    return RUN_GROUP(tests);
}
