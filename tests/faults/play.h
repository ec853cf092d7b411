/* SPDX-License-Identifier: ISC */
/* One run of one scenario under one plan. */
#ifndef FAULTS_PLAY_H
#define FAULTS_PLAY_H

#include "faults/scenario.h"
#include "faults/wrap.h"

/* NULL, or what does not hold. *clean: nothing was left that a later run could meet. */
const char *play(const struct scenario *scenario, const struct variant *variant,
                 const struct fault_plan *plan, bool *clean);

#endif
