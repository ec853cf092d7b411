/* SPDX-License-Identifier: ISC */
/*
 * What stays locked when the mode ends: secrets, as their regions have it, what is held
 * (region/ranges.h), and what the program had locked before it entered.
 */
#ifndef SMEM_RT_KEEP_H
#define SMEM_RT_KEEP_H

#include <stddef.h>
#include <stdint.h>

struct smem_kept {
    uintptr_t start, end;
};

struct smem_keeping {
    struct smem_kept *kept; /* ascending; in a mapping of its own */
    size_t count, room;
};

/* With every lock of the library held: notes what is locked now, but for secrets. 0 or a negative errno, recorded. */
int smem_keep_begin(struct smem_keeping *keeping);
void smem_keep_end(struct smem_keeping *keeping);

/*
 * With every lock of the library held: unlocks all mappings but those. 0 or the negative
 * errno of the first that is refused; the others are unlocked nevertheless.
 */
int smem_keep_unlock_rest(const struct smem_keeping *keeping);

/* The same of one range alone. */
int smem_keep_unlock_range(const struct smem_keeping *keeping, uintptr_t start,
                           uintptr_t end);

/* Locks all of them again, after munlockall. As smem_keep_unlock_rest. */
int smem_keep_lock_again(const struct smem_keeping *keeping);

/* Bytes that are kept beside secrets; with every lock of the library held. */
size_t smem_keep_bytes(const struct smem_keeping *keeping);

#endif
