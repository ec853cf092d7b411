/* SPDX-License-Identifier: ISC */
#include "secret/sizes.h"

/* No array has fewer than one element: a batch that is too large does not compile. */
#define FITS(batch) sizeof(char[(batch) <= SMEM_BATCH_MOST ? 1 : -1])

#define CLASS(stride, batch)                                                             \
    {                                                                                    \
        stride, (batch)*FITS(batch),                                                     \
            (uint32_t)((((uint64_t)1 << SMEM_MAGIC_BITS) + (stride)-1) / (stride))       \
    }

const struct smem_size_class smem_size_classes[SMEM_SIZE_CLASSES] = {
    {0, 0, 0},      CLASS(16, 32),  CLASS(32, 32),  CLASS(48, 32),  CLASS(64, 32),
    CLASS(80, 32),  CLASS(96, 32),  CLASS(112, 32), CLASS(128, 32), CLASS(144, 16),
    CLASS(160, 16), CLASS(176, 16), CLASS(192, 16), CLASS(208, 16), CLASS(224, 16),
    CLASS(240, 16), CLASS(256, 16), CLASS(272, 16), CLASS(288, 8),  CLASS(304, 8),
    CLASS(336, 8),  CLASS(368, 8),  CLASS(400, 8),  CLASS(448, 8),  CLASS(512, 8),
    CLASS(576, 4),  CLASS(672, 4),  CLASS(816, 4),  CLASS(1024, 4), CLASS(1088, 4),
    CLASS(1360, 4), CLASS(2048, 4),
};

const uint8_t smem_class_of_units[SMEM_LARGEST_UNITS + 1] = {
    [1] = 1,          [2] = 2,          [3] = 3,           [4] = 4,
    [5] = 5,          [6] = 6,          [7] = 7,           [8] = 8,
    [9] = 9,          [10] = 10,        [11] = 11,         [12] = 12,
    [13] = 13,        [14] = 14,        [15] = 15,         [16] = 16,
    [17] = 17,        [18] = 18,        [19] = 19,         [20 ... 21] = 20,
    [22 ... 23] = 21, [24 ... 25] = 22, [26 ... 28] = 23,  [29 ... 32] = 24,
    [33 ... 36] = 25, [37 ... 42] = 26, [43 ... 51] = 27,  [52 ... 64] = 28,
    [65 ... 68] = 29, [69 ... 85] = 30, [86 ... 128] = 31,
};
