/* SPDX-License-Identifier: ISC */
/* The pages of a mapping: what a touch of each would cost. */
#ifndef SMEM_RT_PAGES_H
#define SMEM_RT_PAGES_H

#include <securemem/witness.h>

#include "kernel/procfs.h"

/*
 * A descriptor of this process's pagemap, opened once and kept, for a process that is not
 * dumpable can open it no more. Or a negative errno.
 */
int smem_pages_descriptor(void);

/*
 * The kernel's own mappings, [vvar], [vdso], [vsyscall] and rings (anon_inode:[perf_event],
 * [io_uring]), cannot be locked and are never swapped, and pagemap has nothing of them;
 * without access none is touched.
 */
bool smem_pages_are_exempt(const struct smem_proc_map *map);

/* Whether the mapping is locked. */
bool smem_pages_are_locked(const struct smem_proc_map *map);

/*
 * Calls visit with each stretch of such pages of the mapping. 0 or a negative errno. Where
 * *scans, PAGEMAP_SCAN is asked; it becomes false where that is refused.
 */
int smem_pages_each(int descriptor, bool *scans, const struct smem_proc_map *map,
                    void (*visit)(void *context, securemem_rt_finding_kind kind,
                                  uintptr_t start, size_t length),
                    void *context);

/* Whether this kernel has PAGEMAP_SCAN; see securemem_rt_audit_report.scanned. */
bool smem_pages_scans(int descriptor);

#endif
