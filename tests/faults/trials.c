/* SPDX-License-Identifier: ISC */
#include "faults/trials.h"

#include <string.h>
#include <sys/mman.h>

#include "faults/plans.h"
#include "support/child.h"
#include "support/skip.h"

static struct fault_state *shared;
static struct fault_plan current;
static size_t points, findings;

const struct fault_plan *trials_plan(void)
{
    return &current;
}

struct fault_state *trials_state(void)
{
    if (shared == NULL) {
        void *memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(memory, MAP_FAILED);
        shared = memory;
    }
    return shared;
}

static int run_one(void *argument)
{
    const struct trials *trials = argument;
    fault_use(shared);
    return trials->run(trials->argument);
}

/* The child's exit code. */
static int run(struct trials *trials)
{
    struct child_end end;
    shared->armed = false; /* the child before may have died under its plan */
    child_run(run_one, trials, &end);
    if (end.exit_code == 0 || (end.exit_code == SKIP_EXIT && current.call == 0))
        return end.exit_code;
    findings++;
    print_error("FINDING: %s: %s call %u gives %d%s, then %s %d: signal %d\n%s",
                trials->name, fault_name(current.function), current.call, current.result,
                current.onward ? " from there on" : "", fault_name(current.then),
                current.then_result, end.signal, end.errors);
    return end.exit_code;
}

bool trials_run(const struct trials *trials)
{
    struct trials copy = *trials;
    unsigned calls[FAULT_FUNCTIONS];
    struct plans plans;
    (void)trials_state();
    current = (struct fault_plan){.then = FAULT_FUNCTIONS}; /* call 0: none */
    if (run(&copy) == SKIP_EXIT)
        return false;
    memcpy(calls, shared->calls, sizeof calls);
    plans_begin(&plans, calls, trials->thorough);
    while (plans_next(&plans, &current)) {
        points++;
        (void)run(&copy);
    }
    return true;
}

void trials_end(size_t least)
{
    print_message("NOTE: %zu fault points, %zu findings\n", points, findings);
    assert_int_equal(findings, 0);
    assert_true(points > plans_tried(least));
}
