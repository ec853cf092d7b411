/* SPDX-License-Identifier: ISC */
/* Making reserved pages accessible and locked, many at once. */
#ifndef SMEM_COMMIT_H
#define SMEM_COMMIT_H

#include "region/region.h"

/* Whether slots of the region are committed in batches, or else one by one. */
static inline bool smem_region_batches(const struct smem_region *region)
{
    return region->kind == SMEM_GUARD_REGIONS || region->kind == SMEM_RUN;
}

/* MADV_GUARD_INSTALL where no secret is, whether mlockall(2) has locked it or not. */
int smem_region_install_guard(void *start, size_t length);

/* The same for the guards behind slots. 0 or a negative errno; some may be there then. */
int smem_region_install_guards(struct smem_region *region, uint32_t first,
                               uint32_t slots);

/*
 * Commits the largest batch that the allowance and the kernel grant. 0, or a negative
 * errno, recorded, with nothing committed but what the kernel refuses to close again.
 */
int smem_region_grow(struct smem_region *region, size_t allowance);

#endif
