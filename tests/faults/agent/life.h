/* SPDX-License-Identifier: ISC */
/* An agent from its start to its end, with a client and a fault. */
#ifndef FAULTS_AGENT_LIFE_H
#define FAULTS_AGENT_LIFE_H

#include <stdbool.h>

#include "faults/agent/fault.h"
#include "faults/agent/notary.h"

/* How it is started. */
enum life_kind { LIFE_HERE, LIFE_BEHIND, LIFE_BESIDE };

struct life {
    const struct notary *notary;
    const char *folder; /* for its socket; empty, and left so */
    enum life_kind kind;
    void (*script)(void);
    bool ignores_close, ignores_wipe; /* controls: see held.h */
    struct fault_plan plan;
};

/* A child's: see support/child.h. Gives 0; does not return where anything is not as it
 * should be, with a line that says what. */
int life_run(void *life);

/* Once all of its processes have ended: whether its folder is as before. */
bool life_is_clean(const struct life *life);

#endif
