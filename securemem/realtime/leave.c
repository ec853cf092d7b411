/* SPDX-License-Identifier: ISC */
/*
 * munlockall(2) would unlock every secret. mlockall(MCL_CURRENT | MCL_ONFAULT) ends
 * MCL_FUTURE and leaves what is in memory locked; then all else is unlocked.
 */
#include <errno.h>

#include "kernel/kernel.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "realtime/mode.h"
#include "region/budget.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "region/metadata.h"
#include "region/ranges.h"

#define PASSES 3

/* Whether what has to stay locked may be locked anew, after munlockall. */
static bool may_lock_again(const struct smem_mode *mode)
{
    size_t limit, mappings;
    smem_budget_estimate(&limit, &mappings);
    size_t own = smem_budget_charged(), kept = smem_keep_bytes(&mode->keeping);
    return limit == SIZE_MAX || (own <= limit && kept <= limit - own);
}

/* What maps did not show is looked for again; what others lock meanwhile is theirs. */
static int unlock_by_maps(const struct smem_mode *mode)
{
    size_t kept = smem_budget_charged() + smem_keep_bytes(&mode->keeping), locked;
    int result = 0;
    for (int i = 0; i < PASSES; i++) {
        result = smem_keep_unlock_rest(&mode->keeping);
        if (result != 0 || smem_proc_locked(&locked) != 0 || locked <= kept)
            break;
    }
    return result;
}

/* With every lock of the library held. */
static int unlock_rest(struct smem_mode *mode)
{
    int result = smem_kernel_lock_all(SMEM_LOCK_CURRENT_ON_FAULT);
    if (result == 0)
        return unlock_by_maps(mode);
    /* Privileges were dropped. Without a window only the mode itself can stay. */
    if (!may_lock_again(mode))
        return result;
    result = smem_kernel_unlock_all();
    if (result != 0)
        return result;
    mode->window = true;
    return smem_keep_lock_again(&mode->keeping);
}

int smem_mode_unlock(struct smem_mode *mode)
{
    if (!mode->locked_all || mode->future_before)
        return 0;
    smem_lock_all();
    int result = unlock_rest(mode);
    smem_metadata_stay_locked(result != 0);
    smem_unlock_all();
    if (result != 0)
        return smem_error_kernel("mlockall", result, 0);
    mode->locked_all = false;
    return 0;
}

/* What the kernel refuses stays locked: nothing is less protected for it. */
void smem_mode_release_ranges(struct smem_mode *mode, size_t from)
{
    while (mode->range_count > from) {
        const struct smem_mode_range *range = &mode->ranges[--mode->range_count];
        if (range->held)
            smem_range_drop(range->start, range->end);
        if (range->locked && !mode->locked_all) /* an earlier enter needs it still */
            (void)smem_keep_unlock_range(&mode->keeping, range->start, range->end);
        if (range->kept_from_children)
            (void)smem_kernel_inherit((void *)range->start, /* NOLINT: an address */
                                      range->end - range->start, true);
    }
}

static void restore(struct smem_mode_flag *flag, enum smem_kernel_flag which)
{
    if (flag->changed)
        (void)smem_kernel_set_flag(which,
                                   flag->before); /* a flag that was there before */
    flag->changed = false;
}

void smem_mode_restore_flags(struct smem_mode *mode)
{
    restore(&mode->no_huge_pages, SMEM_FLAG_NO_HUGE_PAGES);
    restore(&mode->merge, SMEM_FLAG_MERGE);
}

void smem_mode_restore_limit(struct smem_mode *mode)
{
    if (mode->limit_raised)
        (void)smem_kernel_set_lock_limit(mode->limit_before); /* lower: always granted */
    mode->limit_raised = false;
}

int securemem_rt_leave(void)
{
    smem_fork_check();
    struct smem_mode *mode = smem_mode_take();
    int result = 0;
    if (mode->entered == 0) {
        result = smem_error_argument("securemem_rt_leave", "the mode is not on");
    } else if (mode->entered > 1) {
        mode->entered--;
    } else if ((result = smem_mode_unlock(mode)) == 0) {
        smem_mode_release_ranges(mode, 0);
        smem_mode_restore_flags(mode);
        smem_mode_restore_limit(mode);
        smem_keep_end(&mode->keeping);
        mode->entered = 0;
    }
    smem_mode_publish(mode);
    smem_mode_give();
    return result;
}
