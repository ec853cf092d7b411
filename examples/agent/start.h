/* SPDX-License-Identifier: ISC */
/* How an agent comes into being: in the foreground, in the background, beside a command. */
#ifndef AGENT_START_H
#define AGENT_START_H

#include "options.h"

/*
 * Starts an agent, tells on standard output how to reach it, and gives the exit status.
 * Beside a command it does not return: the process becomes that command.
 */
int start(const struct options *options);

/* Ends the agent that $SSH_AGENT_PID names, and tells how to forget it. */
int stop(const struct options *options);

#endif
