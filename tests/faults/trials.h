/* SPDX-License-Identifier: ISC */
/* What is called under every plan of faults, each time in a child of its own. */
#ifndef FAULTS_TRIALS_H
#define FAULTS_TRIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "faults/wrap.h"

struct trials {
    char name[96]; /* for what is found */
    int (*run)(
        void *argument); /* in the child, which arms the plan: 0 where all is well */
    void *argument;
    bool thorough; /* as of plans_begin */
};

/* Where the plan of the child that runs is, or will be. */
const struct fault_plan *trials_plan(void);

/* The faults of all of them, for a child that is no trial. */
struct fault_state *trials_state(void);

/* Without a fault, then under each plan. False where the child skips without one. */
bool trials_run(const struct trials *trials);

/*
 * Says how many there were in all; the test fails where something was found, or where fewer
 * were tried than plans_tried(least): a harness that meets no faults may not pass.
 */
void trials_end(size_t least);

#endif
