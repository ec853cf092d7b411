/* SPDX-License-Identifier: ISC */
#include "realtime/mode.h"

#include <string.h>

#include "kernel/process.h"
#include "kernel/procfs.h"
#include "realtime/lock.h"
#include "region/error.h"

static smem_rt_lock lock;
static struct smem_mode mode;
static uint32_t mode_epoch; /* the process that the mode is of */

static atomic_size_t entered;
static _Atomic uint32_t entered_epoch;
static atomic_size_t forks;
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
    return atomic_load(&entered) > 0 && atomic_load(&entered_epoch) == smem_epoch();
}

static void before_fork(void)
{
}

static void after_fork(void)
{
    if (securemem_rt_active())
        atomic_fetch_add(&forks, 1);
}

/* Registered once in a process, and with it in its children. */
int smem_mode_watch_forks(void)
{
    if (atomic_load(&watching))
        return 0;
    int result = smem_kernel_at_fork(before_fork, after_fork, before_fork);
    if (result != 0)
        return smem_error_kernel("pthread_atfork", result, 0);
    atomic_store(&watching, true);
    return 0;
}

int securemem_rt_get_status(securemem_rt_status *out)
{
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
                                 .window = now->window,
                                 .malloc_tuned = now->malloc_tuned};
    smem_mode_give();
    return 0;
}
