/* SPDX-License-Identifier: ISC */
/* How many secrets fit, what is really locked of them, and what each costs to make. */
#ifndef BENCH_CAPACITY_H
#define BENCH_CAPACITY_H

#include "peers.h"

/*
 * An ordinary user with this lock limit, in bytes, asks each peer for so many of 32 bytes. A
 * peer that looks through all it has given takes the square of it: 300,000 are a minute.
 */
#define CAPACITY_MOST 300000UL
void capacity_print(size_t lock_limit, size_t asked);

/* So many, or fewer where the machine has not so many bytes free for each. */
size_t capacity_most(size_t count, size_t bytes);

/*
 * peer NULL: the kernel alone. Makes count of 32 bytes, says what each took, as the process
 * may: the median of so many rounds, for a virtual machine's memory is not there before it
 * is first touched, and what that costs is its host's.
 */
#define CAPACITY_ROUNDS 5UL
void capacity_grow(const struct peer *peer, size_t count, size_t rounds);

#endif
