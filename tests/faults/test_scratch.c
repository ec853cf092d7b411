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

#include "faults/trials.h"
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

static bool try_all(const struct act *act)
{
    struct trial trial = {.act = act, .plan = trials_plan()};
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = true};
    snprintf(trials.name, sizeof trials.name, "%s", act->name);
    return trials_run(&trials);
}

static void a_function_is_called_with_every_protection_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!try_all(&acts[i]))
            SKIP("secrets are refused here");
    trials_end(500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_is_called_with_every_protection_or_not_at_all),
    };
    return RUN_GROUP(tests);
}
