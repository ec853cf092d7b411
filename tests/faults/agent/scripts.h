/* SPDX-License-Identifier: ISC */
/* What clients do with an agent under faults, and afterwards without any. */
#ifndef FAULTS_AGENT_SCRIPTS_H
#define FAULTS_AGENT_SCRIPTS_H

#include "faults/agent/talk.h"

void script_keys(void); /* keys of each kind: added, signed with, removed; a lifetime */
void script_lock(void); /* locked, guessed at, unlocked */
void script_confirm(void); /* agreed to, denied, and left while it is asked */
void script_traffic(void); /* messages large, in halves, in rows, too long; who leaves */
void script_brief(void);   /* one key and one signature */

#endif
