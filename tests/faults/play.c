/* SPDX-License-Identifier: ISC */
#include "faults/play.h"

#include <errno.h>

#include "faults/check.h"
#include "faults/plans.h"
#include "support/smaps.h"
#include "support/view.h"

/* Secrets that could not be wiped when they ended are wiped by securemem_wipe_all. */
static const char *wipe_held(const struct stage *stage)
{
    const char *wrong =
        securemem_wipe_all() == 0 ? NULL : "wipe_all without a fault fails";
    stage_fill_elders();
    smaps_read();
    for (size_t i = 0; i < stage->freed_count && wrong == NULL; i++) {
        bool held;
        wrong = check_freed(&stage->freed[i], &held);
        if (wrong == NULL && held)
            wrong = "a held secret is never wiped";
    }
    return wrong;
}

/* The library's own account against the kernel's. */
static const char *check_account(const struct stage *stage)
{
    size_t elders;
    securemem_budget_report says;
    (void)stage_elders(&elders);
    if (securemem_budget(&says) != 0)
        return "securemem_budget fails without a fault";
    if (says.secrets != elders + stage->count)
        return "securemem_budget counts other secrets than there are";
    if (says.charged != view_locked_bytes())
        return "securemem_budget charges other bytes than the kernel";
    return NULL;
}

/* After the act, without faults. *held: freed secrets that are not wiped yet. */
static const char *check_after(struct stage *stage, const struct fault_plan *plan,
                               bool *held)
{
    const char *wrong = stage->refused == 0 ? NULL : check_error(stage->refused);
    smaps_read();
    if (wrong == NULL)
        wrong = check_stage(stage, plan_refusal(plan));
    for (size_t i = 0; i < stage->freed_count && wrong == NULL; i++) {
        bool one;
        wrong = check_freed(&stage->freed[i], &one);
        *held = *held || one;
    }
    if (wrong == NULL && plan_is_single(plan))
        wrong = check_account(stage);
    return wrong;
}

/* A refusal does not last: the next call gets what it asks for. */
static const char *check_next(struct stage *stage, const struct fault_plan *plan)
{
    size_t size = stage->variant.size;
    unsigned char *next = securemem_arena_alloc(stage->arena, size);
    if (next == NULL)
        return "after a refusal the arena gives nothing more";
    stage_expect(stage, next, size, 0, 0);
    smaps_read();
    return check_secret(&stage->secrets[stage->count - 1], stage->variant.policy,
                        stage->variant.fork, plan_refusal(plan));
}

const char *play(const struct scenario *scenario, const struct variant *variant,
                 const struct fault_plan *plan, bool *clean)
{
    struct stage stage;
    struct holdings before;
    bool held = false;
    const char *wrong = NULL;
    holdings_take(&before);
    stage_begin(&stage, variant);
    if (scenario->prepare != NULL)
        scenario->prepare(&stage);
    check_mark_error();

    fault_arm(plan);
    stage.refused = scenario->act(&stage, &wrong);
    fault_disarm();

    if (scenario->wipes)
        stage_fill_elders();
    if (wrong == NULL)
        wrong = check_after(&stage, plan, &held);
    bool single = plan_is_single(plan);
    if (wrong == NULL && single && !stage.destroyed)
        wrong = check_next(&stage, plan);
    if (wrong == NULL && held)
        wrong = wipe_held(&stage);
    stage_end(&stage);
    /*
     * What munmap refuses to an act that cannot say so stays mapped, but not locked:
     * bookkeeping. Told, the caller tries again.
     */
    bool unmaps = plan->function == FAULT_UNMAP && stage.refused == 0;
    *clean = check_holdings(&before, false) == NULL;
    if (wrong == NULL && single)
        wrong = check_holdings(&before, unmaps);
    return wrong;
}
