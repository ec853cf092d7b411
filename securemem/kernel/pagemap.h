/* SPDX-License-Identifier: ISC */
/*
 * What the kernel has of pages, asked through a descriptor of /proc/PID/pagemap, which
 * speaks of the process that opened it. The contract is that of kernel.h.
 */
#ifndef SMEM_PAGEMAP_H
#define SMEM_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

/* What a stretch of pages is, of the bits of PAGEMAP_SCAN (Linux 6.7). */
#define SMEM_PAGES_PRESENT (1UL << 3)
#define SMEM_PAGES_SWAPPED (1UL << 4)
#define SMEM_PAGES_ZERO    (1UL << 5) /* the page of zeros that all processes share */
#define SMEM_PAGES_GUARD   (1UL << 8) /* a guard region; Linux 6.15 */

struct smem_pages {
    uint64_t start, end, what;
};

/*
 * Stretches between start and end that are not present, or the page of zeros: the first
 * of them, count at most. Gives how many, and in *next where to go on.
 */
long smem_kernel_scan_pages(int descriptor, uintptr_t start, uintptr_t end,
                            struct smem_pages *out, size_t count, uintptr_t *next);

/* Entries of pagemap from that page on: 8 bytes a page; gives how many it read. */
#define SMEM_ENTRY_PRESENT   (1UL << 63)
#define SMEM_ENTRY_SWAPPED   (1UL << 62)
#define SMEM_ENTRY_FILE      (1UL << 61) /* of a file, or of shared memory */
#define SMEM_ENTRY_EXCLUSIVE (1UL << 56) /* mapped once (Linux 4.2) */

long smem_kernel_read_pages(int descriptor, uintptr_t start, uint64_t *out, size_t count);

#endif
