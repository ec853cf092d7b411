/* SPDX-License-Identifier: ISC */
#include "faults/plans.h"

#include <errno.h>
#include <stddef.h>

#include "support/pace.h"

#define MOST_CODES 6
#define END        1 /* not an errno that a call gives */

/* What Linux, its modules for security and a seccomp filter answer with. */
static const int codes[FAULT_FUNCTIONS][MOST_CODES] = {
    [FAULT_RESERVE] = {-ENOMEM, -EAGAIN, -EPERM, END},
    [FAULT_RESERVE_AT] = {-ENOMEM, -EEXIST, -EPERM, END},
    [FAULT_UNMAP] = {-EINVAL, -ENOMEM, END},
    [FAULT_PROTECT] = {-ENOMEM, -EACCES, -EPERM, END},
    [FAULT_ADVISE] = {-EINVAL, -ENOMEM, -EAGAIN, -EPERM, -ENOSYS, 0},
    [FAULT_ADVISE_EACH] = {-EBADF, -EINVAL, -ENOSYS, -EPERM, -EAGAIN, END},
    [FAULT_LOCK] = {-ENOMEM, -EAGAIN, -EPERM, -ENOSYS, 0, END},
    [FAULT_LOCK_ON_FAULT] = {-ENOMEM, -EAGAIN, -EPERM, -ENOSYS, 0, END},
    [FAULT_UNLOCK] = {-ENOMEM, -EPERM, END},
    [FAULT_IS_LOCKED] = {0, -EPERM, -ENOSYS, -ENOMEM, END},
    [FAULT_IS_READABLE] = {0, -EPERM, -ENOTSUP, END},
    [FAULT_NAME] = {-EINVAL, -EPERM, -ENOMEM, END},
    [FAULT_LOCK_LIMIT] = {-EPERM, END},
    [FAULT_HAS_IPC_LOCK] = {-EPERM, 0, END},
    [FAULT_OPEN] = {-ENOENT, -EACCES, -EMFILE, END},
    [FAULT_CLOSE] = {-EIO, -EINTR, END},
    [FAULT_READ] = {-EINTR, -EIO, 0, END},
    [FAULT_WRITE] = {-EPIPE, -EINTR, END},
    [FAULT_MILLISECONDS] = {-EINVAL, END},
    [FAULT_AT_FORK] = {-ENOMEM, END},
    [FAULT_LOCK_ALL] = {-ENOMEM, -EPERM, -EAGAIN, END},
    [FAULT_UNLOCK_ALL] = {-EPERM, END},
    [FAULT_SET_LOCK_LIMIT] = {-EPERM, END},
    [FAULT_GET_FLAG] = {-EINVAL, -EPERM, END},
    [FAULT_SET_FLAG] = {-EINVAL, -EPERM, END},
    [FAULT_MAP] = {-ENOMEM, -EAGAIN, END},
    [FAULT_THREAD_FAULTS] = {-EPERM, END},
    [FAULT_STACK_LEFT] = {-ENOMEM, -ENOENT, END},
    [FAULT_TUNE_MALLOC] = {-ENOTSUP, END},
    [FAULT_INHERIT] = {-EINVAL, -EPERM, END},
    [FAULT_TOUCH_CLOCKS] = {-EINVAL, END},
    [FAULT_SCAN_PAGES] = {-ENOTTY, -EPERM, END},
    [FAULT_READ_PAGES] = {-EPERM, -EIO, END},
    [FAULT_PERF_OPEN] = {-EACCES, -ENOSYS, -EMFILE, END},
    [FAULT_PERF_ENABLE] = {-EPERM, END},
    [FAULT_PERF_JOIN] = {-EINVAL, END},
    [FAULT_PERF_ID] = {-EINVAL, END},
    [FAULT_PERF_MAP] = {-EPERM, -ENOMEM, END},
    [FAULT_PERF_COUNTS] = {-EIO, END},
    [FAULT_SET_TRAP] = {-EINVAL, END},
    [FAULT_UNSET_TRAP] = {-EINVAL, END},
    [FAULT_TRAP_IS_BLOCKED] = {-EINVAL, END},
    [FAULT_HEAP] = {-ENOMEM, END},
    [FAULT_SECRET_OPEN] = {-ENOSYS, -EPERM, -EMFILE, -EAGAIN, END},
    [FAULT_SET_LENGTH] = {-EINVAL, -EFBIG, END},
    [FAULT_MAP_OVER] = {-EAGAIN, -ENOMEM, -EPERM, END},
    [FAULT_RESERVE_OVER] = {-ENOMEM, END},
    [FAULT_ALTERNATE] = {-EPERM, -ENOSYS, END},
    [FAULT_SET_ALTERNATE] = {-EPERM, -ENOMEM, END},
    [FAULT_RUN_THREAD] = {-EAGAIN, -EPERM, END},
    [FAULT_OPEN_FILE] = {-ENOENT, -EACCES, -EMFILE, -EISDIR, END},
    [FAULT_OPEN_DIRECTORY] = {-ENOENT, -ENOTDIR, END},
    [FAULT_OPEN_IN] = {-ENOENT, -ELOOP, -EMFILE, END},
    [FAULT_FILE_STATUS] = {-EIO, -ENOMEM, END},
    [FAULT_WAIT_READABLE] = {-ENOMEM, -EINTR, END},
    [FAULT_WAIT_WRITABLE] = {-ENOMEM, -EINTR, END},
    [FAULT_OPEN_TERMINAL] = {-ENXIO, -EMFILE, END},
    [FAULT_QUIET_TERMINAL] = {-EIO, -ENOTTY, END},
    [FAULT_CATCH_SIGNALS] = {-EMFILE, -EPERM, END},
    [FAULT_WAIT_TERMINAL] = {-ENOMEM, END},
    [FAULT_RESTORE_TERMINAL] = {-EIO, END},
    [FAULT_HAS_NO_CORE] = {-EPERM, -ENOSYS, 0, END},
    [FAULT_SET_NO_CORE] = {-EPERM, 0, END},
    [FAULT_HAS_RENOUNCED] = {-EINVAL, -EPERM, 0, END},
    [FAULT_RENOUNCE] = {-EINVAL, -EPERM, 0, END},
    [FAULT_AT_QUICK_EXIT] = {-ENOMEM, END},
    [FAULT_SET_FATAL] = {-EINVAL, -EPERM, END},
    [FAULT_UNSET_FATAL] = {-EINVAL, -EPERM, END},
    [FAULT_IS_DEFAULT] = {-EINVAL, -EPERM, 0, END},
    [FAULT_KEY_ALLOC] = {-ENOSPC, -EPERM, -ENOSYS, -EOPNOTSUPP, END},
    [FAULT_KEY_FREE] = {-EINVAL, -EPERM, END},
    [FAULT_KEY_PROTECT] = {-ENOMEM, -EPERM, -ENOSYS, END},
    [FAULT_ANNOUNCE_BARRIER] = {-ENOSYS, -EPERM, END},
    [FAULT_BARRIER] = {-EPERM, END}, /* once: it is not asked for again */
};

/* Second refusals, from the first fault on. */
static const struct {
    enum fault_function function;
    int result;
} seconds[] = {
    {FAULT_FUNCTIONS, 0},      {FAULT_PROTECT, -ENOMEM}, {FAULT_UNLOCK, -EPERM},
    {FAULT_UNMAP, -ENOMEM},    {FAULT_ADVISE, -EPERM},   {FAULT_OPEN, -EMFILE},
    {FAULT_IS_LOCKED, -EPERM},
};

/* Modes: once; from there on; once, and a second function afterwards. */
#define MODE_ONWARD  1
#define MODE_SECONDS 2
#define MODES        (MODE_SECONDS + sizeof seconds / sizeof *seconds - 1)

/* One in so many is tried: at the usual pace, each. */
static unsigned stride(void)
{
    return pace() > 1 ? 5 * (unsigned)pace() + 1 : 1;
}

size_t plans_tried(size_t count)
{
    return count / stride();
}

void plans_begin(struct plans *plans, const unsigned *calls, bool thorough)
{
    unsigned sum = 0; /* so that acts do not all begin with the same plan */
    for (unsigned f = 0; f < FAULT_FUNCTIONS; f++)
        sum += calls[f];
    *plans = (struct plans){.calls = calls,
                            .thorough = thorough,
                            .call = 1,
                            .stride = stride(),
                            .step = 1 + sum % stride()};
}

static bool code_exists(const struct plans *plans)
{
    return plans->code < MOST_CODES && codes[plans->function][plans->code] != END;
}

static void advance(struct plans *plans)
{
    /* Seconds are tried with the first code alone: undoing is the same for all. */
    size_t modes = plans->thorough && plans->code == 0 ? MODES : MODE_ONWARD + 1;
    if (++plans->mode < modes)
        return;
    plans->mode = 0;
    plans->code++;
    if (code_exists(plans))
        return;
    plans->code = 0;
    plans->call++;
}

static bool next_of_all(struct plans *plans, struct fault_plan *out)
{
    while (plans->function < FAULT_FUNCTIONS) {
        if (plans->call > plans->calls[plans->function]) {
            plans->function++;
            plans->call = 1;
            continue;
        }
        int code = codes[plans->function][plans->code];
        bool onward = plans->mode == MODE_ONWARD;
        size_t second = plans->mode < MODE_SECONDS ? 0 : plans->mode - MODE_SECONDS + 1;
        *out = (struct fault_plan){.function = plans->function,
                                   .call = plans->call,
                                   .result = code,
                                   .onward = onward,
                                   .then = seconds[second].function,
                                   .then_result = seconds[second].result};
        advance(plans);
        /* No kernel interrupts a call for ever. */
        if (!(onward && code == -EINTR) && out->then != out->function)
            return true;
    }
    return false;
}

bool plans_next(struct plans *plans, struct fault_plan *out)
{
    for (unsigned left = plans->step; left > 0; left--)
        if (!next_of_all(plans, out))
            return false;
    plans->step = plans->stride;
    return true;
}

bool plan_is_single(const struct fault_plan *plan)
{
    return !plan->onward && plan->then == FAULT_FUNCTIONS;
}

int plan_refusal(const struct fault_plan *plan)
{
    if (!plan_is_single(plan))
        return 0;
    /* Lock and guard are pretended, as far as the library can see. */
    if (plan->function == FAULT_IS_LOCKED || plan->function == FAULT_IS_READABLE ||
        plan->result == 0)
        return ENOTSUP;
    return -plan->result;
}
