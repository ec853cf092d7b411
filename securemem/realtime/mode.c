/* SPDX-License-Identifier: ISC */
#include "realtime/mode.h"

#include <string.h>

#include "kernel/process.h"
#include "kernel/procfs.h"
#include "realtime/lock.h"
#include "region/error.h"
#include "region/fork.h"

static smem_rt_lock lock;
static struct smem_mode mode;
static uint32_t mode_epoch; /* the process that the mode is of */

static atomic_size_t entered;
static _Atomic uint32_t entered_epoch;
static atomic_size_t forks, fork_shared;
static _Atomic uint64_t fork_began, fork_time;
static atomic_bool watching;

struct smem_mode *smem_mode_take(void)
{
    smem_rt_lock_take(&lock);
    if (mode_epoch != smem_epoch()) {
        memset(&mode, 0, sizeof mode); /* its kept list is the parent's to unmap */
        mode_epoch = smem_epoch();
    }
    return &mode;
}

void smem_mode_give(void)
{
    smem_rt_lock_give(&lock);
}

void smem_mode_publish(const struct smem_mode *changed)
{
    atomic_store(&entered_epoch, smem_epoch());
    atomic_store(&entered, changed->entered);
}

bool securemem_rt_active(void)
{
    smem_fork_check();
    return atomic_load(&entered) > 0 && atomic_load(&entered_epoch) == smem_epoch();
}

static void in_child(void)
{
}

static void before_fork(void)
{
    if (securemem_rt_active())
        atomic_store(&fork_began, smem_kernel_nanoseconds());
}

/* What is anonymous and not kept from children is shared from now on. */
static size_t shared_by_fork(void)
{
    size_t shared;
    if (smem_proc_anonymous(&shared) != 0)
        return 0;
    for (size_t i = 0; i < mode.range_count; i++) {
        const struct smem_mode_range *range = &mode.ranges[i];
        size_t length = range->end - range->start;
        if (range->kept_from_children && length <= shared)
            shared -= length;
    }
    return shared;
}

static void after_fork(void)
{
    if (!securemem_rt_active())
        return;
    atomic_fetch_add(&fork_time, smem_kernel_nanoseconds() - atomic_load(&fork_began));
    atomic_fetch_add(&forks, 1);
    smem_rt_lock_take(&lock);
    atomic_store(&fork_shared, shared_by_fork());
    smem_rt_lock_give(&lock);
}

/* Registered once in a process, and with it in its children. */
int smem_mode_watch_forks(void)
{
    if (atomic_load(&watching))
        return 0;
    int result = smem_kernel_at_fork(before_fork, after_fork, in_child);
    if (result != 0)
        return smem_error_kernel("pthread_atfork", result, 0);
    atomic_store(&watching, true);
    return 0;
}

int securemem_rt_get_status(securemem_rt_status *out)
{
    smem_fork_check();
    static const char operation[] = "securemem_rt_get_status";
    if (out == NULL)
        return smem_error_argument(operation, "out is NULL");
    size_t locked;
    int result = smem_proc_locked(&locked);
    if (result != 0)
        return smem_error_unreadable("/proc/self/status", result);
    const struct smem_mode *now = smem_mode_take();
    *out = (securemem_rt_status){.active = now->entered > 0,
                                 .entered = now->entered,
                                 .locked = locked,
                                 .forks = atomic_load(&forks),
                                 .fork_time = atomic_load(&fork_time),
                                 .fork_shared = atomic_load(&fork_shared),
                                 .window = now->window,
                                 .malloc_tuned = now->malloc_tuned};
    smem_mode_give();
    return 0;
}
