/* SPDX-License-Identifier: ISC */
/* Secret memory beside ordinary memory. */
#ifndef BENCH_SECRETMEM_H
#define BENCH_SECRETMEM_H

#include <stddef.h>

/* Medians over rounds, interleaved: growth, of count secrets, and the steady state. */
void secretmem_print(size_t rounds, double milliseconds, size_t count);

#endif
