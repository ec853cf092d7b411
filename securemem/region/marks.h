/* SPDX-License-Identifier: ISC */
/*
 * A count of every page, as marks where it changes. A mark is found, made or taken away in
 * the logarithm of their number. Everything here is called with the ranges' lock held.
 *
 * A treap: ordered by at, and as a heap by rank, which is as good as random (Seidel, Aragon
 * 1996).
 */
#ifndef SMEM_MARKS_H
#define SMEM_MARKS_H

#include <stddef.h>
#include <stdint.h>

#include "region/metadata.h"

/*
 * From at to the next mark the count is this one; before the first mark, and behind the
 * last, it is 0. Marks side by side differ in their counts, but while a call is at work.
 */
struct smem_mark {
    struct smem_pool_object object;
    struct smem_mark *lower, *higher;
    uintptr_t at;
    size_t count;
    uint64_t rank;
};

/* The last mark at or before the address, and the first behind it; NULL: there is none. */
struct smem_mark *smem_mark_before(uintptr_t at);
struct smem_mark *smem_mark_behind(uintptr_t at);

size_t smem_mark_count(uintptr_t at);

/* Sees to it that a mark is there; no count changes. 0 or a negative errno, recorded. */
int smem_mark_cut(uintptr_t at);

/* A mark there that changes no count goes. */
void smem_mark_mend(uintptr_t at);

void smem_mark_forget_all(void);

/* Aborts where the tree is not one, or a mark has no use. */
void smem_mark_check(void);

#endif
