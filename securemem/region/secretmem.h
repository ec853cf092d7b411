/* SPDX-License-Identifier: ISC */
/*
 * Pages of a region from memfd_secret(2), in the place of anonymous ones. They are shared
 * memory: locked and charged by mmap(2), live in a forked child but for MADV_DONTFORK,
 * and given back by mapping a reservation over them. Each function gives 0 or a negative
 * errno, recorded.
 */
#ifndef SMEM_REGION_SECRETMEM_H
#define SMEM_REGION_SECRETMEM_H

#include "region/region.h"

/*
 * Decides whether the region has such pages, as its policy wants it: where they are only
 * preferred, a refusal goes to secret_memory_refused.
 */
int smem_secretmem_decide(struct smem_region *region);

/* Pages, accessible, locked and in memory; refused, the range is a reservation as before. */
int smem_secretmem_map(struct smem_region *region, char *start, size_t length);

/* The range is a reservation again, and its pages are gone. */
int smem_secretmem_unmap(struct smem_region *region, char *start, size_t length);

#endif
