/* SPDX-License-Identifier: ISC */
/* What the process that holds keys denies to others of its user, and to itself. */
#ifndef AGENT_HARDEN_H
#define AGENT_HARDEN_H

/* No core dump, no debugger of the same user, no new privileges. NULL, or what is wrong. */
const char *harden(void);

#endif
