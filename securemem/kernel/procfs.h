/* SPDX-License-Identifier: ISC */
/*
 * What /proc says. No function here allocates; each opens, reads and closes on its own,
 * and gives 0 or a negative errno.
 */
#ifndef SMEM_PROCFS_H
#define SMEM_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What smaps says of one mapping: VmFlags of proc_pid_smaps(5), and its permissions. */
struct smem_proc_mapping {
    uintptr_t start, end;
    bool readable, writable;
    bool locked;     /* lo */
    bool not_dumped; /* dd */
    bool wiped;      /* wf: zeros in a forked child */
    bool not_forked; /* dc */
    bool mergeable;  /* mg: KSM may share its pages */
};

/* The mapping that holds address; -ENOENT where none does. */
int smem_proc_mapping_at(const void *address, struct smem_proc_mapping *out);

/* The number of mappings of the process. */
int smem_proc_count_mappings(size_t *out);

/* VmLck of the process, in bytes. */
int smem_proc_locked(size_t *bytes);

/* vm.max_map_count. */
int smem_proc_mapping_limit(size_t *out);

/* Whether this is the initial user namespace, the one in which CAP_IPC_LOCK counts. */
int smem_proc_in_initial_namespace(bool *out);

#endif
