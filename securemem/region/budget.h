/* SPDX-License-Identifier: ISC */
/* What the limits of the process are and what is left of them. */
#ifndef SMEM_BUDGET_H
#define SMEM_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

/* mprotect or mlock in the middle of a mapping makes three of one. */
#define SMEM_MAPPINGS_A_SPLIT 2

struct smem_lock_budget {
    size_t soft, hard; /* bytes; SIZE_MAX: no limit */
    size_t in_use;     /* VmLck of the process, bytes */
    bool unlimited;    /* no limit, or CAP_IPC_LOCK holds */
};

struct smem_mapping_budget {
    size_t limit, in_use;
};

/* Both read /proc now; 0 or a negative errno. */
int smem_budget_of_locks(struct smem_lock_budget *out);

/*
 * Counting mappings costs a microsecond each, so a count is kept for a second while this
 * library's own number of mappings does not change.
 */
int smem_budget_of_mappings(struct smem_mapping_budget *out);

/*
 * The bytes that may be locked, SIZE_MAX for no limit, and vm.max_map_count, from what is
 * cheap to ask: for choices that a later refusal would correct.
 */
void smem_budget_estimate(size_t *lock_bytes, size_t *mappings);

/* The library's own account. Charges are added after a lock, removed after its end. */
void smem_budget_charge(size_t bytes);
void smem_budget_discharge(size_t bytes);
size_t smem_budget_charged(void);

/* After a fork: locks are not inherited. */
void smem_budget_reset_charges(void);

#endif
