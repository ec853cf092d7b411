/* SPDX-License-Identifier: ISC */
/*
 * The witness of a thread: its counters of page faults, and the ring of their records.
 *
 *      minor (leader), major, kernel ---> one ring: control page | records ...
 *      trap: alone, enabled for sections that ask for it
 */
#ifndef SMEM_RT_WITNESS_H
#define SMEM_RT_WITNESS_H

#include <securemem/witness.h>

#include "region/metadata.h"

#define SMEM_WITNESS_RING   16U /* pages of records; fewer where the limit is short */
#define SMEM_WITNESS_COUNTS 3U

/*
 * A forked child has its parent's descriptors, which count there, and not the ring: the
 * kernel leaves it out, and by its addresses the child may have mapped something else.
 */
struct smem_witness {
    struct smem_pool_object object; /* state 1: a thread's */
    uint32_t epoch;                 /* of the process that its descriptors are of */
    uint32_t ring_epoch; /* of the one that mapped the ring, and may unmap it */
    int minor, major, kernel, trap; /* descriptors; -1: none */
    uint64_t major_id;
    void *ring;                    /* NULL: perf_event_open was refused */
    size_t ring_pages;             /* of records */
    securemem_rt_section *section; /* that has begun, or NULL */
    uint64_t began;                /* the ring's head at that time */
    volatile bool
        inside; /* between begin and end, whose own faults are no reason to trap */
    /* What ends the section's trap, or NULL: a thread may end inside of its section. */
    void (*disarm)(struct smem_witness *witness);
};

/* The calling thread's, opened when it is first asked for; NULL where memory is short. */
struct smem_witness *smem_witness_self(void);

/* The calling thread's, if it has one in this process; async-signal-safe. */
struct smem_witness *smem_witness_known(void);

#endif
