/* SPDX-License-Identifier: ISC */
/*
 * The allocators that are compared. Those that are not linked are loaded when their turn
 * comes, so that none is needed to build, and none changes malloc for the others.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>

struct peer {
    const char *name;
    bool ours;
    bool slow;           /* microseconds an operation */
    bool bare;           /* no allocator: what writing and wiping alone cost */
    bool (*begin)(void); /* in a process of its own; false where it is not there */
    void *(*alloc)(size_t size);
    void (*release)(void *memory, size_t size); /* wipes as well */
};

enum { PEERS = 11, PEER_MALLOC = 0, PEER_PACKED = 5, PEER_GUARDED = 8 };

extern const struct peer peers[PEERS];

/* For peers whose pool does not grow; read by begin. */
extern size_t peers_pool_bytes;

#endif
