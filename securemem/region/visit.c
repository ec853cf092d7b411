/* SPDX-License-Identifier: ISC */
#include "region/visit.h"

#include "kernel/barrier.h"
#include "kernel/kernel.h"

atomic_uint smem_visits = SMEM_VISITS_UNAIDED;

void smem_visit_ready(void)
{
    if (smem_kernel_announce_barrier() == 0)
        atomic_fetch_and(&smem_visits, ~SMEM_VISITS_UNAIDED);
}

void smem_visit_begin(void)
{
    if ((atomic_fetch_add(&smem_visits, 1) & SMEM_VISITS_UNAIDED) != 0 ||
        smem_kernel_barrier() == 0)
        return;
    /*
     * A sandbox came after smem_visit_ready. From now on whoever ends a slot helps itself.
     * Another thread that is between storing and looking at this very moment has stored
     * when that reaches memory: nothing says when, but a system call takes longer.
     */
    atomic_fetch_or(&smem_visits, SMEM_VISITS_UNAIDED);
    smem_kernel_yield();
}

void smem_visit_begin_last(void)
{
    atomic_fetch_add(&smem_visits, 1);
}

void smem_visit_end(void)
{
    atomic_fetch_sub(&smem_visits, 1);
}

bool smem_visit_is_on(void)
{
    return (atomic_load(&smem_visits) & ~SMEM_VISITS_UNAIDED) != 0;
}

void smem_visit_forget(void)
{
    atomic_fetch_and(&smem_visits, SMEM_VISITS_UNAIDED);
}

void smem_slot_end_visited(struct smem_slot *slot, enum smem_slot_state state)
{
    atomic_store(&slot->state, (unsigned char)state); /* with the barrier */
    while (smem_visit_is_on())
        smem_kernel_yield();
}
