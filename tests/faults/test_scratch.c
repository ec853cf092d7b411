/* SPDX-License-Identifier: ISC */
/*
 * Scratch calls while every call to the kernel fails in turn: a function is called on a
 * stack with all protections, or not at all.
 */
#include <errno.h>
#include <securemem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/plans.h"
#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define SMALL     ((size_t)8 << 10)
#define LARGE     ((size_t)96 << 10)
#define ALTERNATE ((size_t)64 << 10)

static unsigned char alternate[ALTERNATE]; /* the program's */
static unsigned calls;
static char *low; /* of the last stack */
static size_t length;

/* On whose stack: locked, not dumped, guarded. Its smaps are read by the test's own. */
static void look(void *argument)
{
    char here = 0;
    struct smaps_entry range;
    struct view view;
    (void)argument;
    calls++;
    NEED(view_at(&here, &view));
    low = (char *)view.start;
    length = view.end - view.start;
    smaps_read();
    NEED(smaps_range(low, length, &range) && range.locked && range.not_dumped);
    NEED(!view_readable(low - 1) && !view_readable(low + length));
}

static void nest(void *argument)
{
    int *result = argument;
    look(NULL);
    *result = securemem_scratch_call(look, NULL, LARGE);
    NEED(*result == 0 || securemem_last_error()->code == -*result);
}

/* What is done under faults, each after a call that is not. */
static int call_first(void)
{
    return securemem_scratch_call(look, NULL, SMALL);
}

static int call_larger(void)
{
    return securemem_scratch_call(look, NULL, LARGE);
}

static int call_nested(void)
{
    int inner = 0;
    int result = securemem_scratch_call(nest, &inner, LARGE);
    return result == 0 ? inner : result;
}

static int trim(void)
{
    return securemem_scratch_trim();
}

struct act {
    const char *name;
    int (*act)(void);
    unsigned calls; /* where nothing is refused */
    bool fresh;     /* the first of its process */
    bool alternate; /* with an alternate signal stack */
};

static const struct act acts[] = {
    {"the first call", call_first, 1, true, false},
    {"the first call, with an alternate stack", call_first, 1, true, true},
    {"a call, with an alternate stack", call_first, 1, false, true},
    {"a larger call", call_larger, 1, false, false},
    {"a nested call", call_nested, 2, false, true},
    {"trim", trim, 0, false, true},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
    struct fault_state *state;
};

static bool alternate_is(const void *wanted)
{
    stack_t now;
    NEED(sigaltstack(NULL, &now) == 0);
    return wanted == NULL ? (now.ss_flags & SS_DISABLE) != 0 : now.ss_sp == wanted;
}

static int try_one(void *argument)
{
    struct trial *trial = argument;
    const struct act *act = trial->act;
    const struct fault_plan *plan = trial->plan;
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    void *program = act->alternate ? alternate : NULL;
    smaps_read();
    if (act->alternate)
        NEED(sigaltstack(&stack, NULL) == 0);
    void *secret = securemem_alloc(1);
    if (secret == NULL || (!act->fresh && call_first() != 0))
        return SKIP_EXIT;
    size_t locked = view_locked_bytes();
    (void)securemem_size(NULL); /* another record, which a refusal replaces */
    calls = 0;
    fault_use(trial->state);
    fault_arm(plan);
    int result = act->act();
    fault_disarm();

    bool undone = plan->function != FAULT_UNLOCK && plan->function != FAULT_PROTECT &&
                  plan->function != FAULT_UNMAP && !plan->onward;
    NEED(result <= 0);
    NEED(result == 0 ? calls == act->calls : calls < act->calls || act->calls == 0);
    if (result != 0 && act->act != call_nested) {
        NEED(securemem_last_error()->code == -result && result != -EINVAL);
        NEED(strlen(securemem_last_error()->message) > 20);
    }
    /* Without its thread a call has a stack, which is kept. */
    if (result != 0 && act->act != trim && act->act != call_nested &&
        plan->function != FAULT_RUN_THREAD)
        NEED(!undone || view_locked_bytes() == locked ||
             view_locked_bytes() == locked + ALTERNATE);
    if (plan->function != FAULT_SET_ALTERNATE)
        NEED(alternate_is(program));

    /* A refusal does not last, and what was left of it is used or ended. */
    NEED(call_first() == 0 && call_larger() == 0 && call_nested() == 0);
    NEED(alternate_is(program));
    NEED(securemem_scratch_trim() == 0);
    securemem_budget_report budget;
    NEED(securemem_budget(&budget) == 0);
    NEED(!undone || plan->function == FAULT_IS_LOCKED ||
         view_locked_bytes() == budget.charged);
    securemem_free(secret);
    NEED(!undone || plan->function == FAULT_IS_LOCKED || view_locked_bytes() == 0);
    return 0;
}

static size_t points, findings;

static void report_finding(const struct trial *trial, const struct child_end *end)
{
    findings++;
    print_error("FINDING: %s: %s call %u gives %d%s: signal %d\n%s", trial->act->name,
                fault_name(trial->plan->function), trial->plan->call, trial->plan->result,
                trial->plan->onward ? " from there on" : "", end->signal, end->errors);
}

static bool try_all(const struct act *act, struct fault_state *state)
{
    struct fault_plan none = {.then = FAULT_FUNCTIONS};
    struct trial trial = {.act = act, .plan = &none, .state = state};
    struct child_end end;
    child_run(try_one, &trial, &end);
    if (end.exit_code == SKIP_EXIT)
        return false;
    if (end.exit_code != 0)
        report_finding(&trial, &end);
    unsigned made[FAULT_FUNCTIONS];
    memcpy(made, state->calls, sizeof made);
    struct plans plans;
    struct fault_plan plan;
    plans_begin(&plans, made, true);
    while (plans_next(&plans, &plan)) {
        trial.plan = &plan;
        points++;
        child_run(try_one, &trial, &end);
        if (end.exit_code != 0)
            report_finding(&trial, &end);
    }
    return true;
}

static void a_function_is_called_with_every_protection_or_not_at_all(void **state)
{
    (void)state;
    struct fault_state *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!try_all(&acts[i], shared))
            SKIP("secrets are refused here");
    print_message("NOTE: %zu fault points, %zu findings\n", points, findings);
    assert_int_equal(findings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_is_called_with_every_protection_or_not_at_all),
    };
    return RUN_GROUP(tests);
}
