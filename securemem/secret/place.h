/* SPDX-License-Identifier: ISC */
/* From a pointer to the slot of its secret. */
#ifndef SMEM_PLACE_H
#define SMEM_PLACE_H

#include "region/region.h"

struct smem_place {
    struct smem_region *region;
    uint32_t slot;
};

enum smem_found {
    SMEM_FOUND,    /* a live secret */
    SMEM_FREED,    /* a secret that was freed */
    SMEM_INTERIOR, /* in a region, but no secret begins there */
    SMEM_FOREIGN   /* in no region */
};

/*
 * Where SMEM_FOUND, *place is filled and its stripe locked; smem_place_release unlocks
 * it. Else nothing is locked.
 */
enum smem_found smem_place_acquire(const void *pointer, struct smem_place *place);
void smem_place_release(const struct smem_place *place);

/*
 * As smem_place_acquire for a function that takes a secret with pages in this process:
 * 0, or -EINVAL, recorded for that operation.
 */
int smem_place_need(const char *operation, const void *pointer, struct smem_place *place);

#endif
