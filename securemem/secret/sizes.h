/* SPDX-License-Identifier: ISC */
/*
 * Size classes of packed secrets. A stride is what a secret takes on its page, its canary
 * included; strides are multiples of 16 bytes, chosen so that little of a page of 4 KiB
 * is left over. 1088 is there for 1 KiB and a canary: whole cache lines are faster to wipe.
 * Class 0 is none.
 */
#ifndef SMEM_SIZES_H
#define SMEM_SIZES_H

#include <stddef.h>
#include <stdint.h>

#define SMEM_UNIT_LOG2 4U
#define SMEM_UNIT      ((size_t)1 << SMEM_UNIT_LOG2)

/* Larger ones are guarded: a page holds two of these. */
#define SMEM_LARGEST_STRIDE ((size_t)2048)
#define SMEM_LARGEST_UNITS  (SMEM_LARGEST_STRIDE / SMEM_UNIT)

#define SMEM_SIZE_CLASSES 32U

/*
 * A thread keeps two batches, or one secret less: it gives what is more than a batch back,
 * and has that still.
 */
#define SMEM_BATCH_MOST 32U
#define SMEM_KEPT_MOST  (2 * SMEM_BATCH_MOST - 1)

struct smem_size_class {
    uint16_t stride;
    uint16_t batch; /* that a thread takes from their page, or gives back, at once */
    uint32_t magic; /* offset * magic >> SMEM_MAGIC_BITS is offset / stride */
};

/* Exact for offsets in pages of up to 64 KiB: below 2^32 / 2^11 they cannot carry. */
#define SMEM_MAGIC_BITS 32U

extern const struct smem_size_class smem_size_classes[SMEM_SIZE_CLASSES];

/* The class of the smallest stride that is so many units or more; 0 for 0. */
extern const uint8_t smem_class_of_units[SMEM_LARGEST_UNITS + 1];

/* The secrets of a class that a thread keeps at most. */
static inline uint32_t smem_class_kept(unsigned class)
{
    uint32_t two = 2U * smem_size_classes[class].batch;
    return two < SMEM_KEPT_MOST ? two : SMEM_KEPT_MOST;
}

/* The class for so many bytes, SMEM_LARGEST_STRIDE at most, canary included. */
static inline unsigned smem_class_of(size_t bytes)
{
    return smem_class_of_units[(bytes + SMEM_UNIT - 1) >> SMEM_UNIT_LOG2];
}

/* The class for so many bytes, canary included, at a multiple of 1 << align_log2; or 0. */
static inline unsigned smem_class_for(size_t bytes, unsigned align_log2)
{
    if (bytes > SMEM_LARGEST_STRIDE)
        return 0;
    unsigned class = smem_class_of(bytes);
    if (align_log2 <= SMEM_UNIT_LOG2)
        return class;
    size_t mask = ((size_t)1 << align_log2) - 1;
    while (class < SMEM_SIZE_CLASSES && (smem_size_classes[class].stride & mask) != 0)
        class ++;
    return class < SMEM_SIZE_CLASSES ? class : 0;
}

#endif
