/* SPDX-License-Identifier: ISC */
#include "region/fork.h"

#include <errno.h>
#include <stdbool.h>

#include "kernel/kernel.h"
#include "region/budget.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/inherit.h"
#include "region/keys.h"
#include "region/locks.h"
#include "region/visit.h"

static atomic_uint no_marker = 1;
atomic_uint *_Atomic smem_fork_marker = &no_marker;

static atomic_bool registered;
#define HOOKS 2U

static void (*_Atomic hooks[HOOKS])(void);

void smem_fork_add_hook(void (*after)(void))
{
    for (unsigned i = 0; i < HOOKS; i++) {
        void (*there)(void) = NULL;
        if (atomic_compare_exchange_strong(&hooks[i], &there, after) || there == after)
            return;
    }
}

static void run_hooks(void)
{
    for (unsigned i = 0; i < HOOKS; i++) {
        void (*after)(void) = atomic_load(&hooks[i]);
        if (after != NULL)
            after();
    }
}

static void inherit(struct smem_region *region, void *context)
{
    const bool *visited = context;
    smem_region_inherit(region, *visited);
}

/* With every lock held, in a process of one thread. */
static void recover(void)
{
    smem_epoch_advance();
    smem_budget_reset_charges();
    bool visited = smem_visit_is_on();
    smem_visit_forget();
    uint32_t keys = smem_keys_all(), rights = smem_rights_open(keys);
    smem_region_each(inherit, &visited);
    smem_rights_restore(keys, rights);
    atomic_store(atomic_load(&smem_fork_marker), 1);
}

static void in_child(void)
{
    recover();
    smem_unlock_all();
    run_hooks();
}

void smem_fork_recover(void)
{
    smem_lock_all();
    bool forked = atomic_load(atomic_load(&smem_fork_marker)) == 0;
    if (forked)
        recover();
    smem_unlock_all();
    if (forked)
        run_hooks();
}

/*
 * Only a raw clone needs the marker: fork(2) runs the handlers. A kernel that refuses it
 * leaves what arena.h says of a raw clone unseen, and everything else as it is.
 */
static void make_marker(void)
{
    size_t page = smem_kernel_page_size();
    void *start;
    if (smem_kernel_reserve(page, &start) != 0)
        return;
    if ((smem_kernel_unlock(start, page) != 0 &&
         smem_kernel_is_locked(start, page) != 0) ||
        smem_kernel_advise(start, page, SMEM_ADVICE_UNKNOWN) == 0 ||
        smem_kernel_advise(start, page, SMEM_ADVICE_WIPEONFORK) != 0 ||
        smem_kernel_protect(start, page, SMEM_ACCESS_WRITE) != 0) {
        (void)smem_kernel_unmap(start, page); /* it was never used */
        return;
    }
    atomic_uint *marker = start;
    atomic_store(marker, 1);
    atomic_store(&smem_fork_marker, marker);
}

int smem_fork_ready(void)
{
    if (atomic_load_explicit(&registered, memory_order_acquire))
        return 0;
    int result = 0;
    smem_lock_registry();
    if (!atomic_load(&registered)) {
        result = smem_kernel_at_fork(smem_lock_all, smem_unlock_all, in_child);
        if (result == 0) {
            make_marker();
            smem_visit_ready();
            atomic_store_explicit(&registered, true, memory_order_release);
        }
    }
    smem_unlock_registry();
    return result == 0 ? 0 : smem_error_kernel("pthread_atfork", result, 0);
}

/*
 * Before the constructors of a program, also where it is linked statically. A failure is
 * tried again, and told, when an arena is made.
 */
__attribute__((constructor(101))) static void on_load(void)
{
    (void)smem_fork_ready();
}
