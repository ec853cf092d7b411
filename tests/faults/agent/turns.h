/* SPDX-License-Identifier: ISC */
/*
 * The agent and its client take turns in one process, so that the same call has the same
 * number each time: the client has its turn when the agent waits for events and there are
 * none. Time is the client's to pass.
 */
#ifndef FAULTS_AGENT_TURNS_H
#define FAULTS_AGENT_TURNS_H

#include <stdbool.h>

/* What the client does once the agent waits for the first time. When it returns the agent is
 * ended by SIGTERM, or, where it has a companion, by the companion. */
void turns_plan(void (*client)(void), bool has_companion);

/* The client's: the agent works until it waits, or seems never to. False: never. */
bool turns_pass(void);

/* Whether it has one, which has not ended, or was not asked how. */
bool turns_has_program(void);

/* The client's: what the agent waits for comes, which is a time or a program's end. False:
 * it waits for nothing. */
bool turns_wait(void);

#endif
