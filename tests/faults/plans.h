/* SPDX-License-Identifier: ISC */
/* Which calls are made to fail, and with what. */
#ifndef FAULTS_PLANS_H
#define FAULTS_PLANS_H

#include <stdbool.h>
#include <stddef.h>

#include "faults/wrap.h"

/* Walks through all plans for an act that makes so many calls of each function. */
struct plans {
    const unsigned *calls; /* of each function, without faults */
    bool thorough;         /* with a second refusal during the undoing as well */
    unsigned function, call, code, mode;
    unsigned stride,
        step; /* $SECUREMEM_TEST_PACE: one plan in so many; to the next one */
};

/* How many of so many plans are tried at this pace. */
size_t plans_tried(size_t count);

void plans_begin(struct plans *plans, const unsigned *calls, bool thorough);

/* The next plan; false where there is none. */
bool plans_next(struct plans *plans, struct fault_plan *out);

/* A single refusal, after which everything has to be as it was. */
bool plan_is_single(const struct fault_plan *plan);

/* The positive errno that a preferred protection may be refused with; 0: any. */
int plan_refusal(const struct fault_plan *plan);

#endif
