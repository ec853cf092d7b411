/* SPDX-License-Identifier: ISC */
/* What the witness, the audit, and entering and leaving cost. */
#ifndef BENCH_REALTIME_H
#define BENCH_REALTIME_H

#include <stddef.h>

/* Medians of so many runs; the audit is of a process of so many bytes. */
void realtime_print(size_t runs, size_t bytes);

#endif
