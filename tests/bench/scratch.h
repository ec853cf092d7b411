/* SPDX-License-Identifier: ISC */
/* Scratch calls, beside plain calls and beside wiping what they use. */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stddef.h>

/* Medians over rounds, interleaved. */
void scratch_print(size_t rounds, double milliseconds);

#endif
