/* SPDX-License-Identifier: ISC */
/* From an address to its region, in constant time and without a lock. */
#ifndef SMEM_REGISTRY_H
#define SMEM_REGISTRY_H

#include <stdbool.h>

#include "region/region.h"

/* A region that has one of these addresses, or NULL. */
struct smem_region *smem_registry_meet(const void *start, size_t length);

/* 0 or a negative errno, recorded. */
int smem_registry_add(struct smem_region *region);

/* Forgets the region, if it is known. */
void smem_registry_remove(struct smem_region *region);

/*
 * The region that holds address, or NULL. It may be ending, unless the caller knows that
 * a secret in it is alive.
 */
struct smem_region *smem_registry_find(const void *address);

/*
 * The region that holds address, with its stripe locked for the caller; NULL, with
 * nothing locked, where there is none.
 */
struct smem_region *smem_registry_acquire(const void *address);

/* The last secrets that were freed, known when their region is gone. */
#define SMEM_FREED_REMEMBERED 512U

void smem_registry_remember_freed(const void *secret);
bool smem_registry_was_freed(const void *address);

#endif
