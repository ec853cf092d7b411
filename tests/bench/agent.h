/* SPDX-License-Identifier: ISC */
/* examples/agent beside ssh-agent, both as programs. */
#ifndef BENCH_AGENT_H
#define BENCH_AGENT_H

#include <stddef.h>

/* Medians over rounds, interleaved; what is missing is said. */
void agent_print(size_t rounds, double milliseconds);

#endif
