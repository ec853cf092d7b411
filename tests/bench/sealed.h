/* SPDX-License-Identifier: ISC */
/* Sealing, beside the bare cipher and beside a pair of mprotect(2). */
#ifndef BENCH_SEALED_H
#define BENCH_SEALED_H

#include <stddef.h>

/* Medians over rounds, interleaved; then so many sealed secrets at once. */
void sealed_print(size_t rounds, double milliseconds, size_t many);

#endif
