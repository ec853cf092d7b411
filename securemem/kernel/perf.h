/* SPDX-License-Identifier: ISC */
/*
 * Counters of page faults of the calling thread (perf_event_open(2)). They need neither
 * hardware nor, at kernel.perf_event_paranoid 2, a privilege, as long as they leave out
 * what happens in the kernel. The contract is that of kernel.h.
 */
#ifndef SMEM_PERF_H
#define SMEM_PERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum smem_perf_event {
    SMEM_PERF_MINOR,  /* faults of the thread's own instructions */
    SMEM_PERF_MAJOR,  /* the same, with the page read from disk or swap */
    SMEM_PERF_KERNEL, /* faults of the kernel on its behalf: needs a privilege */
    SMEM_PERF_TRAP    /* as the first two; each stops the thread with a SIGTRAP (5.13) */
};

/* The record of a fault in the ring. */
struct smem_perf_fault {
    uint64_t id; /* of the event */
    uint64_t ip;
    uint32_t pid, tid;
    uint64_t time; /* nanoseconds of CLOCK_MONOTONIC */
    uint64_t address;
};

/* Opens a counter in the group of leader, or of its own (-1): the descriptor. */
int smem_kernel_perf_open(enum smem_perf_event event, int leader);
int smem_kernel_perf_enable(int descriptor, bool enable);

/* Records of this one go into the ring of that one. */
int smem_kernel_perf_join(int descriptor, int ring);
int smem_kernel_perf_id(int descriptor, uint64_t *out);

/* The ring of a descriptor: a page of control and the given power of two of pages. */
int smem_kernel_perf_map(int descriptor, size_t pages, void **out);

/* The counts of a group, its leader's first. */
int smem_kernel_perf_counts(int descriptor, uint64_t *counts, size_t count);

/*
 * Of a mapped ring of so many pages. head: bytes written so far. next: takes the record at
 * *tail, before head; 1 and the fault, or 0 for a record of another kind. *tail then is
 * behind it. forget: it may be overwritten.
 */
const volatile uint64_t *smem_perf_head(const void *ring);
int smem_perf_next(const void *ring, size_t pages, uint64_t *tail,
                   struct smem_perf_fault *out);
void smem_perf_forget(void *ring, uint64_t tail);

/* Makes a page look like the control page of a ring with that head. */
void smem_perf_pretend(void *page, uint64_t head);

#endif
