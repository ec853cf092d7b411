/* SPDX-License-Identifier: ISC */
#include "faults/agent/fault.h"

#include <string.h>

#include "support/need.h"

/* No kernel interrupts a call for ever. */
#define REFUSALS_MOST 500U

struct faults *faults;
_Thread_local bool fault_counts;
enum fault_side fault_side;

int fault_take(const char *name, unsigned variants)
{
    if (!fault_counts || faults == NULL || !faults->armed)
        return -1;
    const struct fault_plan *plan = &faults->plan;
    unsigned call = ++faults->counts[fault_side];
    if (call < FAULT_CALLS_MOST && plan->call == 0)
        faults->calls[fault_side][call] = (struct fault_call){name, variants};
    if (plan->call == 0 || plan->side != fault_side)
        return -1;
    if (call == plan->call) {
        faults->hit = true;
        faults->hit_name = name;
        return (int)plan->variant;
    }
    if (plan->onward && faults->hit && strcmp(name, faults->hit_name) == 0 &&
        faults->refusals++ < REFUSALS_MOST)
        return (int)plan->variant;
    return -1;
}
