/* SPDX-License-Identifier: ISC */
/* From a pointer to the slot of its secret. */
#ifndef SMEM_PLACE_H
#define SMEM_PLACE_H

#include "secret/page.h"

struct smem_place {
    struct smem_region *region;
    uint32_t slot;
    struct smem_packed packed; /* in a run; else its secret is NULL */
};

static inline bool smem_place_is_packed(const struct smem_place *place)
{
    return place->packed.secret != NULL;
}

static inline char *smem_place_secret(const struct smem_place *place)
{
    return smem_place_is_packed(place) ? place->packed.secret
                                       : smem_slot_secret(place->region, place->slot);
}

static inline size_t smem_place_size(const struct smem_place *place)
{
    if (smem_place_is_packed(place))
        return smem_word_size(
            atomic_load_explicit(place->packed.word, memory_order_relaxed));
    return atomic_load_explicit(&place->region->slots[place->slot].size,
                                memory_order_relaxed);
}

static inline unsigned smem_place_align_log2(const struct smem_place *place)
{
    if (smem_place_is_packed(place))
        return smem_word_align_log2(
            atomic_load_explicit(place->packed.word, memory_order_relaxed));
    return atomic_load_explicit(&place->region->slots[place->slot].align_log2,
                                memory_order_relaxed);
}

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

/* With the stripe held: ends a secret whose region is GONE. */
void smem_place_forget(const struct smem_place *place);

/*
 * As smem_place_acquire for a function that takes a secret with pages in this process:
 * 0, or -EINVAL, recorded for that operation.
 */
int smem_place_need(const char *operation, const void *pointer, struct smem_place *place);

/*
 * Whether a fork since it was made took a live secret's contents, of this process or of one
 * that it descends from.
 */
bool smem_place_is_wiped(const void *secret);

#endif
