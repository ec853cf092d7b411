/* SPDX-License-Identifier: ISC */
/* An arena for each connection: made, used for a few secrets, destroyed. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <stddef.h>

/* Medians over rounds, interleaved, beside as many secrets of libsodium. */
void connection_print(size_t rounds, size_t connections);

#endif
