/* SPDX-License-Identifier: ISC */
/* One region in a forked child: guards and locks put back, or secrets wiped. */
#ifndef SMEM_INHERIT_H
#define SMEM_INHERIT_H

#include "region/region.h"

/* With every lock held, before anything else of the child uses the library. */
void smem_region_inherit(struct smem_region *region);

#endif
