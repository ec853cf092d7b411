/* SPDX-License-Identifier: ISC */
/*
 * Visitors walk over all regions without a lock (smem_region_each), perhaps in a signal
 * handler, and write to what they see LIVE. Whoever ends a slot waits until none is left
 * who may have seen it so: visitors never wait.
 *
 *      whoever ends a slot             a visitor
 *      it is no longer LIVE            is counted
 *      --- barrier                     --- barrier
 *      waits while one is counted      looks which are LIVE
 *
 * A slot ends with every free, a visitor comes once in the life of a process. So it is the
 * visitor that asks for both barriers (barrier.h), where the kernel grants them.
 */
#ifndef SMEM_VISIT_H
#define SMEM_VISIT_H

#include "region/region.h"

/* How many visitors there are; and whether they have no barrier to ask for. */
extern atomic_uint smem_visits;
#define SMEM_VISITS_UNAIDED (1U << 31)

/* Asks the kernel once for the barrier; refused, whoever ends a slot has its own. */
void smem_visit_ready(void);

/* Around a visit. Async-signal-safe. */
void smem_visit_begin(void);
void smem_visit_end(void);

/*
 * Begins one in a process that ends: whoever does not wait for it harms nobody, and a
 * sandbox that ends processes for asking does not come before the visit.
 */
void smem_visit_begin_last(void);

/* Whether a visitor is at work. */
bool smem_visit_is_on(void);

/* In a forked child: visitors of other threads were not inherited. */
void smem_visit_forget(void);

/* As smem_slot_end, when there may be a visitor. */
void smem_slot_end_visited(struct smem_slot *slot, enum smem_slot_state state);

/* A slot stops to be LIVE. False where there may be a visitor, who is to be waited for. */
static inline bool smem_slot_end_unseen(struct smem_slot *slot,
                                        enum smem_slot_state state)
{
    atomic_store_explicit(&slot->state, (unsigned char)state, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&smem_visits, memory_order_acquire) == 0;
}

/*
 * The same, and waits for visitors, who may have seen it LIVE, with its size and its
 * access.
 */
static inline void smem_slot_end(struct smem_slot *slot, enum smem_slot_state state)
{
    if (!smem_slot_end_unseen(slot, state))
        smem_slot_end_visited(slot, state);
}

#endif
