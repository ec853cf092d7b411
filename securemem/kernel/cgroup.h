/* SPDX-License-Identifier: ISC */
/* Memory limits of the control groups that this process is in (cgroups(7)). */
#ifndef SMEM_CGROUP_H
#define SMEM_CGROUP_H

#include <stddef.h>

struct smem_cgroup {
    size_t limit, in_use; /* bytes */
};

/*
 * The group with the least left, from this process's own up to the topmost that is
 * mounted, of version 1 and 2. SIZE_MAX: no limit. -ENOENT: no memory controller.
 */
int smem_cgroup_memory(struct smem_cgroup *out);

#endif
