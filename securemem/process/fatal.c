/* SPDX-License-Identifier: ISC */
#include <securemem/process.h>
#include <securemem/secret.h>
#include <signal.h>

#include "kernel/signal.h"
#include "process/stack.h"
#include "region/error.h"
#include "region/locks.h"

#define BIT(number) ((uint64_t)1 << (number))

static const uint64_t faults = BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) |
                               BIT(SIGABRT) | BIT(SIGSYS) | BIT(SIGTRAP);
static const uint64_t terminations =
    BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM) | BIT(SIGPIPE) |
    BIT(SIGALRM) | BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(SIGXCPU) | BIT(SIGXFSZ) |
    BIT(SIGVTALRM) | BIT(SIGPROF) | BIT(SIGIO) | BIT(SIGPWR);

#define SIGNALS 32 /* those beyond are real-time ones, which belong to the program */

static uint64_t taken; /* guarded by the lock of signals */

static void wipe(void)
{
    (void)securemem_wipe_all(); /* what it could not wipe ends with the process */
}

static int set(int number, bool on)
{
    return on ? smem_kernel_set_fatal(number, wipe) : smem_kernel_unset_fatal(number);
}

/* What the program has put back to its default meanwhile. 0 or a negative errno. */
static int forget_defaults(void)
{
    for (int i = 1; i < SIGNALS; i++) {
        int lost = (taken & BIT(i)) == 0 ? 0 : smem_kernel_is_default(i);
        int result = lost == 1 ? set(i, false) : lost;
        if (result != 0)
            return result;
        if (lost == 1)
            taken &= ~BIT(i);
    }
    return 0;
}

/* Of those that end the process as they are now. 0 or a negative errno. */
static int choose(unsigned signals, uint64_t *out)
{
    uint64_t chosen = (signals & SECUREMEM_SIGNALS_FAULTS) != 0 ? faults : 0;
    for (int i = 1; i < SIGNALS; i++) {
        if ((signals & SECUREMEM_SIGNALS_TERMINATION) == 0 ||
            (terminations & BIT(i)) == 0)
            continue;
        int ends = (taken & BIT(i)) != 0 ? 1 : smem_kernel_is_default(i);
        if (ends < 0)
            return ends;
        chosen |= ends == 1 ? BIT(i) : 0;
    }
    *out = chosen;
    return 0;
}

/* The first refusal undoes what was changed before it. */
static int change(uint64_t to)
{
    uint64_t differ = taken ^ to;
    for (int i = 1; i < SIGNALS; i++) {
        int result = (differ & BIT(i)) == 0 ? 0 : set(i, (to & BIT(i)) != 0);
        if (result == 0)
            continue;
        if ((taken & BIT(i)) != 0)
            (void)set(i, true);
        while (--i > 0)
            if ((differ & BIT(i)) != 0)
                (void)set(i, (taken & BIT(i)) != 0);
        return result;
    }
    taken = to;
    return 0;
}

int securemem_wipe_on_fatal_signal(unsigned signals)
{
    const unsigned known = SECUREMEM_SIGNALS_FAULTS | SECUREMEM_SIGNALS_TERMINATION;
    if ((signals & ~known) != 0)
        return smem_error_argument("securemem_wipe_on_fatal_signal",
                                   "a flag is not known");
    bool made = false;
    int result = signals == 0 ? 0 : smem_signal_stack_begin(&made);
    if (result != 0)
        return result;
    smem_lock_signals();
    uint64_t chosen;
    result = forget_defaults();
    if (result == 0)
        result = choose(signals, &chosen);
    if (result == 0)
        result = change(chosen);
    smem_unlock_signals();
    if (result != 0)
        result = smem_error_kernel("sigaction", result, 0);
    smem_error_hold();
    if (made ? result != 0 : result == 0 && signals == 0)
        (void)smem_signal_stack_end(); /* refused, the thread keeps it until it ends */
    smem_error_resume();
    return result;
}
