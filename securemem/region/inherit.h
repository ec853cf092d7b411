/* SPDX-License-Identifier: ISC */
/* What a forked child has of a region: guards and locks put back, or secrets wiped. */
#ifndef SMEM_INHERIT_H
#define SMEM_INHERIT_H

#include "region/region.h"

/*
 * With every lock held, before anything else of the child uses the library; visited: a
 * visitor of the parent was at work.
 */
void smem_region_inherit(struct smem_region *region, bool visited);

/* What a child has of the region. */
enum smem_inheritance {
    SMEM_INHERITS_ZEROS,
    SMEM_INHERITS_NOTHING,
    SMEM_INHERITS_SECRETS
};

enum smem_inheritance smem_region_inheritance(const struct smem_region *region);

/* Whether a fork replaced the slot's pages, canaries included, by zeros. */
bool smem_slot_was_zeroed(const struct smem_region *region, uint32_t slot);

/* The same, where it was by the fork that made this process, and not an earlier one. */
bool smem_slot_is_zeroed_here(const struct smem_region *region, uint32_t slot);

#endif
