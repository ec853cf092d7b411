/* SPDX-License-Identifier: ISC */
/* A public call, what it finds and how it is made. */
#ifndef FAULTS_SCENARIO_H
#define FAULTS_SCENARIO_H

#include "faults/stage.h"

struct scenario {
    const char *name;
    void (*prepare)(struct stage *stage); /* without faults; may be NULL */
    /*
     * With faults: 0, or the positive errno of a refusal. It tells the stage what it made
     * and freed. What it sees wrong itself goes to *wrong.
     */
    int (*act)(struct stage *stage, const char **wrong);
    bool wipes;        /* elder secrets as well */
    bool preferred_no; /* nothing in it depends on the policy: tried with REQUIRED only */
};

extern const struct scenario alloc_scenarios[], change_scenarios[], release_scenarios[],
    packed_scenarios[], report_scenarios[], fork_scenarios[];
extern const size_t alloc_scenario_count, change_scenario_count, release_scenario_count,
    packed_scenario_count, report_scenario_count, fork_scenario_count;

#endif
