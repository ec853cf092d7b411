/* SPDX-License-Identifier: ISC */
#include "realtime/trap.h"

#include <errno.h>
#include <stdlib.h>

#include "kernel/kernel.h"
#include "kernel/perf.h"
#include "kernel/signal.h"
#include "realtime/lock.h"
#include "realtime/touch.h"
#include "region/error.h"
#include "region/line.h"
#include "region/locks.h"

#define STANDARD_ERROR 2

/*
 * What a signal and its handler take of the stack: 3 KiB of registers with AVX-512, twice
 * that and more with AMX. Not there, it would fault itself, and count; before Linux 5.19
 * that ends the process.
 */
#define STACK_OF_SIGNAL ((size_t)12 * 1024)

static smem_rt_lock changing;
static unsigned sections;
static uint32_t sections_epoch; /* the process that they are of */

static void on_fault(uintptr_t instruction, uintptr_t address)
{
    struct smem_witness *witness = smem_witness_known();
    if (witness == NULL || !witness->inside)
        return; /* on its way when the section ended */
    securemem_rt_section *section = witness->section;
    section->trapped++;
    if (section->trap == SECUREMEM_RT_TRAP_COUNT)
        return;
    struct smem_line line = {0};
    smem_line_text(&line, "securemem: page fault in a section: the instruction at ");
    smem_line_address(&line, instruction);
    smem_line_text(&line, " touched ");
    smem_line_address(&line, address);
    smem_line_text(&line, "\n");
    /* Without a descriptor 2 the line is lost; the count is kept. */
    (void)smem_kernel_write(STANDARD_ERROR, line.text, line.length);
    if (section->trap == SECUREMEM_RT_TRAP_ABORT)
        abort();
}

static int set_trap(void)
{
    smem_lock_signals();
    int result = smem_kernel_set_trap(on_fault);
    smem_unlock_signals();
    return result;
}

/* A handler that cannot be put back stays, and passes on what is not its own. */
static void unset_trap(void)
{
    smem_lock_signals();
    (void)smem_kernel_unset_trap();
    smem_unlock_signals();
}

/* A child begins with none; the handler that it inherited goes when it needs its own. */
static void count_anew_in_child(void)
{
    if (sections_epoch == smem_epoch())
        return;
    if (sections > 0)
        unset_trap();
    sections = 0;
    sections_epoch = smem_epoch();
}

static int need_handler(void)
{
    smem_rt_lock_take(&changing);
    count_anew_in_child();
    int result = sections == 0 ? set_trap() : 0;
    sections += result == 0;
    smem_rt_lock_give(&changing);
    return result == 0 ? 0 : smem_error_kernel("sigaction", result, 0);
}

static void release_handler(void)
{
    smem_rt_lock_take(&changing);
    if (--sections == 0)
        unset_trap();
    smem_rt_lock_give(&changing);
}

static void disarm(struct smem_witness *witness)
{
    witness->disarm = NULL;
    /* Still on without a handler, it would end the process: closing ends it too. */
    if (smem_kernel_perf_enable(witness->trap, false) != 0) {
        (void)smem_kernel_close(witness->trap);
        witness->trap = -1;
    }
    release_handler();
}

static int refuse_open(int kernel_code)
{
    static const char operation[] = "perf_event_open";
    switch (-kernel_code) {
    case EPERM:
    case EACCES:
        return smem_error_own(operation, EPERM,
                              "kernel.perf_event_paranoid is above 2, or a sandbox "
                              "forbids it: set it to 2, allow the call or grant "
                              "CAP_PERFMON");
    case EMFILE:
    case ENFILE:
        return smem_error_own(operation, EAGAIN,
                              "no descriptor is left: close some or raise RLIMIT_NOFILE");
    case ENOMEM:
        return smem_error_own(operation, ENOMEM,
                              "the kernel has no memory for it: free some");
    default:
        return smem_error_own(operation, ENOTSUP,
                              "this kernel has no signal for page faults (Linux 5.13), "
                              "or a sandbox hides it: use a newer one, or a section "
                              "without SECUREMEM_RT_TRAP");
    }
}

int smem_trap_begin(struct smem_witness *witness)
{
    if (smem_kernel_trap_is_blocked() != 0)
        return smem_error_own("SECUREMEM_RT_TRAP", EPERM,
                              "SIGTRAP is blocked in this thread, and would come late or "
                              "end the process: allow it with pthread_sigmask");
    if (witness->trap < 0)
        witness->trap = smem_kernel_perf_open(SMEM_PERF_TRAP, -1);
    if (witness->trap < 0)
        return refuse_open(witness->trap);
    int result = need_handler();
    if (result != 0)
        return result;
    smem_touch_stack(STACK_OF_SIGNAL);
    result = smem_kernel_perf_enable(witness->trap, true);
    if (result == 0) {
        witness->disarm = disarm;
        return 0;
    }
    release_handler();
    return smem_error_kernel("ioctl(PERF_EVENT_IOC_ENABLE)", result, 0);
}
