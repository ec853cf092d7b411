/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "kernel/perf.h"
#include "kernel/process.h"
#include "realtime/trap.h"
#include "realtime/witness.h"
#include "region/epoch.h"
#include "region/error.h"

/* What securemem_rt_section.before holds. */
enum { MINOR, MAJOR, KERNEL, ALL_MINOR, ALL_MAJOR, COUNTS };

/* What a section watches whose thread has no ring. */
static const volatile uint64_t no_head;

static size_t counters_of(const struct smem_witness *witness)
{
    return witness->kernel >= 0 ? SMEM_WITNESS_COUNTS : SMEM_WITNESS_COUNTS - 1;
}

static bool read_counts(const struct smem_witness *witness, uint64_t counts[COUNTS])
{
    struct smem_kernel_faults all = {0};
    memset(counts, 0, COUNTS * sizeof *counts);
    if (smem_kernel_thread_faults(&all) != 0)
        return false;
    counts[ALL_MINOR] = all.minor;
    counts[ALL_MAJOR] = all.major;
    return witness->ring == NULL ||
           smem_kernel_perf_counts(witness->minor, counts, counters_of(witness)) == 0;
}

/*
 * Counts, and the ring's head at the same time: a fault while they are read would be in
 * one of the two. False where they cannot be read; they are then 0.
 */
static bool count(const struct smem_witness *witness, const volatile uint64_t *head,
                  uint64_t counts[COUNTS], uint64_t *at)
{
    bool counted;
    do {
        *at = *head;
        counted = read_counts(witness, counts);
    } while (counted && *head != *at);
    return counted;
}

int securemem_rt_section_begin(securemem_rt_section *section)
{
    static const char operation[] = "securemem_rt_section_begin";
    if (section == NULL || (section->flags & ~SECUREMEM_RT_TRAP) != 0 ||
        (unsigned)section->trap > SECUREMEM_RT_TRAP_ABORT)
        return smem_error_argument(
            operation, "section is NULL, or its flags or its trap are unknown");
    struct smem_witness *witness = smem_witness_self();
    if (witness == NULL)
        return smem_error_own(operation, ENOMEM,
                              "there is no memory for the thread's witness; free some");
    if (witness->section != NULL)
        return smem_error_argument(operation, "a section of this thread has begun");

    uint32_t flags = section->flags;
    securemem_rt_trap_action trap = section->trap;
    memset(section, 0, sizeof *section); /* and brings its pages in */
    section->flags = flags;
    section->trap = trap;
    section->witness =
        witness->ring != NULL ? SECUREMEM_RT_WITNESS_PERF : SECUREMEM_RT_WITNESS_RUSAGE;
    section->head = witness->ring != NULL ? smem_perf_head(witness->ring) : &no_head;
    witness->section = section;
    if ((flags & SECUREMEM_RT_TRAP) != 0) {
        int result = smem_trap_begin(witness);
        if (result != 0) {
            witness->section = NULL;
            section->head = NULL;
            section->witness = SECUREMEM_RT_WITNESS_NONE;
            return result;
        }
    }
    if (witness->ring != NULL) /* the first such write faults: before it would count */
        smem_perf_forget(witness->ring, *section->head);
    if (!count(witness, section->head, section->before, &section->began))
        section->witness = SECUREMEM_RT_WITNESS_NONE;
    witness->began = section->began;
    witness->inside = true;
    return 0;
}

static uint64_t difference(uint64_t all, uint64_t part)
{
    return all > part ? all - part : 0;
}

static void divide(const struct smem_witness *witness, securemem_rt_section *section,
                   const uint64_t after[COUNTS])
{
    uint64_t grown[COUNTS];
    for (size_t i = 0; i < COUNTS; i++)
        grown[i] = difference(after[i], section->before[i]);
    section->user_minor = grown[MINOR];
    section->user_major = grown[MAJOR];
    section->divided = witness->kernel >= 0;
    uint64_t of_kernel =
        difference(grown[ALL_MINOR] + grown[ALL_MAJOR], grown[MINOR] + grown[MAJOR]);
    section->kernel_major = difference(grown[ALL_MAJOR], grown[MAJOR]);
    section->system = section->divided ? grown[KERNEL] : of_kernel;
    section->populated = section->divided ? difference(of_kernel, grown[KERNEL]) : 0;
}

/*
 * What has no record is what was counted and is not in the ring: the kernel says how much
 * it left out only in front of the next record that fits, in a later section.
 */
static void collect(struct smem_witness *witness, securemem_rt_section *section,
                    uint64_t head)
{
    uint64_t tail = section->began, records = 0;
    while (tail < head) {
        struct smem_perf_fault fault;
        if (smem_perf_next(witness->ring, witness->ring_pages, &tail, &fault) == 0)
            continue;
        records++;
        if (section->recorded == SECUREMEM_RT_FAULTS)
            continue;
        section->faults[section->recorded++] =
            (securemem_rt_fault){.time = fault.time,
                                 .thread = fault.tid,
                                 .major = fault.id == witness->major_id,
                                 .instruction = (uintptr_t)fault.ip,
                                 .address = (uintptr_t)fault.address};
    }
    section->lost = difference(section->user_minor + section->user_major, records);
    smem_perf_forget(witness->ring, head);
}

int securemem_rt_section_end(securemem_rt_section *section)
{
    struct smem_witness *witness = smem_witness_known();
    /* A forked child's section was its parent's. */
    if (section == NULL || witness == NULL || witness->section != section ||
        witness->epoch != smem_epoch())
        return smem_error_argument("securemem_rt_section_end",
                                   "it is not the section that this thread has begun");
    witness->inside = false;
    uint64_t head, after[COUNTS];
    bool counted = count(witness, section->head, after, &head);
    if (witness->disarm != NULL)
        witness->disarm(witness);
    witness->section = NULL;
    if (counted && section->witness != SECUREMEM_RT_WITNESS_NONE)
        divide(witness, section, after);
    else
        section->witness = SECUREMEM_RT_WITNESS_NONE;
    if (witness->ring != NULL)
        collect(witness, section, head);
    section->head = NULL;
    return 0;
}
