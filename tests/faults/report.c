/* SPDX-License-Identifier: ISC */
/* Scenarios: the library is asked what holds, and told to wipe everything. */
#include "faults/scenario.h"

#include "support/smaps.h"

static void some(struct stage *stage)
{
    stage_add(stage, stage->variant.size);
    stage_add(stage, stage->variant.size);
    if (securemem_set_access(stage->secrets[0].at, SECUREMEM_NONE) == 0)
        stage->secrets[0].access = SECUREMEM_NONE;
}

static int ask_size(struct stage *stage, const char **wrong)
{
    if (securemem_size(stage->secrets[0].at) != stage->variant.size)
        *wrong = "securemem_size needs the kernel for nothing, and failed";
    return 0;
}

/* Whatever the kernel refuses, a protection that holds is at worst not seen. */
static int ask_protection(struct stage *stage, const char **wrong)
{
    securemem_protection says = {.size = SIZE_MAX};
    if (securemem_protection(stage->secrets[0].at, &says) != 0)
        *wrong = "securemem_protection has a refusal that its header does not list";
    else if (says.size != stage->variant.size || says.access != SECUREMEM_NONE)
        *wrong = "securemem_protection describes another secret";
    return 0;
}

static int ask_budget(struct stage *stage, const char **wrong)
{
    (void)stage;
    securemem_budget_report says = {.secrets = SIZE_MAX};
    int result = securemem_budget(&says);
    if (result != 0 && says.secrets != SIZE_MAX)
        *wrong = "a refused securemem_budget wrote its output";
    if (result == 0 && says.secrets != 4)
        *wrong = "securemem_budget counts other secrets";
    return -result;
}

static bool is_wiped(const struct expected *secret)
{
    unsigned char first, last;
    return smaps_bytes(secret->at, &first, 1) &&
           smaps_bytes(secret->at + secret->size - 1, &last, 1) && first == 0 &&
           last == 0;
}

/* Every secret is wiped, or it is one of those that the result counts. */
static int wipe_all(struct stage *stage, const char **wrong)
{
    size_t failed = securemem_wipe_all(), count, left = 0;
    const struct expected *elders = stage_elders(&count);
    for (size_t i = 0; i < count; i++)
        left += !is_wiped(&elders[i]);
    for (size_t i = 0; i < stage->count; i++) {
        struct expected *secret = &stage->secrets[i];
        securemem_protection says;
        left += !is_wiped(secret);
        if (!is_wiped(secret))
            continue;
        secret->filled = 0;
        /* Where the kernel refuses to close it again it stays open: that has to be told. */
        if (securemem_protection(secret->at, &says) == 0)
            secret->access = says.access;
    }
    if (left != failed)
        *wrong = "securemem_wipe_all left other secrets than it counts";
    return 0;
}

const struct scenario report_scenarios[] = {
    {"securemem_size", some, ask_size, false, true},
    {"securemem_protection", some, ask_protection, false, true},
    {"securemem_budget", some, ask_budget, false, true},
    {"securemem_wipe_all", some, wipe_all, true, true},
};
const size_t report_scenario_count = sizeof report_scenarios / sizeof *report_scenarios;
