/* SPDX-License-Identifier: ISC */
/* Pieces of 8 bytes of the notary's private values in this process's own memory. */
#ifndef FAULTS_AGENT_REMAINS_H
#define FAULTS_AGENT_REMAINS_H

#include "faults/agent/notary.h"

/* How many, in all private memory that can be written and read; *where is the mapping of the last one. */
size_t remains_count(const struct notary *notary, const char **where);

#endif
