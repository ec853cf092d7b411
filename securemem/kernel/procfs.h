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
    bool secret;     /* of memfd_secret(2) */
    unsigned key;    /* ProtectionKey; 0: none, or the processor has none */
};

/* What maps says of one mapping. The name is cut at its front where it is longer. */
#define SMEM_PROC_NAME_BYTES 64U

struct smem_proc_map {
    uintptr_t start, end;
    bool readable, writable, executable, shared;
    char name[SMEM_PROC_NAME_BYTES];
};

/* Calls visit with each mapping, until it gives another value than 0: that is given. */
int smem_proc_each_map(int (*visit)(const struct smem_proc_map *map, void *context),
                       void *context);

/* The mapping that holds address; -ENOENT where none does. */
int smem_proc_mapping_at(const void *address, struct smem_proc_mapping *out);

/* The number of mappings of the process. */
int smem_proc_count_mappings(size_t *out);

/* VmLck, VmSize, VmRSS and RssAnon of the process, and MemAvailable of the machine, in bytes. */
int smem_proc_locked(size_t *bytes);
int smem_proc_size(size_t *bytes);
int smem_proc_resident(size_t *bytes);
int smem_proc_anonymous(size_t *bytes); /* RssAnon (Linux 4.5) */
int smem_proc_available(size_t *bytes);

/* A number in the first line of a file; SIZE_MAX where there is none ("max"). */
int smem_proc_setting(const char *path, size_t *out);

/* 1 where the first line of a file has the text, "[always]", else 0. */
int smem_proc_choice(const char *path, const char *choice);

/* 1 where the machine has swap, else 0. */
int smem_proc_has_swap(void);

/* vm.max_map_count. */
int smem_proc_mapping_limit(size_t *out);

/* Whether this is the initial user namespace, the one in which CAP_IPC_LOCK counts. */
int smem_proc_in_initial_namespace(bool *out);

#endif
