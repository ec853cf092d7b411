/* SPDX-License-Identifier: ISC */
/*
 * The process as a whole: what it gives up so that its memory stays its own, wiping when it
 * ends, and locks on memory that is not the library's.
 *
 *      securemem_process_report report;
 *      if (securemem_process_harden(SECUREMEM_HARDEN_ALL, &report) != 0)
 *          for (size_t i = 0; i < report.count; i++)
 *              fprintf(stderr, "%s\n", report.results[i].sentence);
 *      if (securemem_wipe_on_exit(true) != 0 ||
 *          securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS) != 0)
 *          fputs(securemem_last_error()->message, stderr);
 *
 * Nothing of it is done but by these calls.
 */
#ifndef SECUREMEM_PROCESS_H
#define SECUREMEM_PROCESS_H

#include <securemem/base.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* HARDENING */

/*
 * What a process can give up. Each is done only where it is asked for; none but NOT_DUMPABLE
 * can be taken back without privileges, and all are inherited by forked children.
 *
 * NO_CORE_DUMPS  RLIMIT_CORE 0, soft and hard: no core is written to a file, in programs
 *                that it executes neither. A kernel.core_pattern that begins with a bar
 *                gets one nevertheless: NOT_DUMPABLE stops that too.
 * NOT_DUMPABLE   PR_SET_DUMPABLE 0: no core at all; /proc/PID belongs to root, so that
 *                other processes of the user can neither read its memory nor ptrace(2) it.
 *                Ends with execve(2). The process itself can open /proc/self/pagemap no
 *                more, unless it is root: where securemem_rt_enter or securemem_rt_audit is
 *                used, call one of them before, which keeps a descriptor.
 * NO_NEW_PRIVS   PR_SET_NO_NEW_PRIVS: set-user-ID bits and file capabilities give nothing
 *                to programs that it executes. Of the calling thread, and those it starts
 *                from now on: ask for it before threads are started.
 * NO_NEW_CODE    PR_SET_MDWE (memory-deny-write-execute, Linux 6.3): no mapping becomes
 *                executable that was not made so, and none is made writable and executable.
 *                A just-in-time compiler does not work after it.
 * NOT_MERGED     PR_SET_MEMORY_MERGE 0: KSM merges no pages of the process but those that it
 *                marks by madvise(2) itself (Linux 6.4; before, there is nothing to forbid).
 */
typedef enum securemem_harden_flags {
    SECUREMEM_HARDEN_NO_CORE_DUMPS = 1,
    SECUREMEM_HARDEN_NOT_DUMPABLE = 2,
    SECUREMEM_HARDEN_NO_NEW_PRIVS = 4,
    SECUREMEM_HARDEN_NO_NEW_CODE = 8,
    SECUREMEM_HARDEN_NOT_MERGED = 16,
    SECUREMEM_HARDEN_ALL = 31 /* of these; flags that come later are not in it */
} securemem_harden_flags;

/* As the kernel tells it when asked afterwards. */
typedef enum securemem_harden_outcome {
    SECUREMEM_HARDEN_GRANTED = 1,  /* it holds now, and did not before */
    SECUREMEM_HARDEN_ALREADY = 2,  /* it held before: nothing was changed */
    SECUREMEM_HARDEN_NEEDLESS = 3, /* this kernel does not do what it would forbid */
    SECUREMEM_HARDEN_REFUSED = 4,  /* it does not hold; code says what the kernel gave */
    SECUREMEM_HARDEN_MISSING = 5   /* it does not hold: this kernel does not have it */
} securemem_harden_outcome;

typedef struct securemem_harden_result {
    securemem_harden_flags flag; /* one */
    securemem_harden_outcome outcome;
    int code;             /* the errno of the call that was refused; 0: none was */
    const char *sentence; /* what it means, or the remedy; static */
    uint64_t reserved[2];
} securemem_harden_result;

#define SECUREMEM_HARDEN_RESULTS 32

typedef struct securemem_process_report {
    size_t count; /* of flags that were asked for, in the order of their values */
    securemem_harden_result results[SECUREMEM_HARDEN_RESULTS];
} securemem_process_report;

/*
 * Does what flags ask for, each by itself: one that is refused stops no other, and what was
 * granted stays. report may be NULL.
 * 0: all holds; -EINVAL: an unknown flag, nothing is done and the report is as it was. Of
 * the first that does not hold: -ENOTSUP: this kernel does not have it, -EPERM: a sandbox
 * forbids it, -EAGAIN: the kernel said otherwise; the report tells of each.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_process_harden(unsigned flags, securemem_process_report *report);

/* WIPING AT THE END */

/*
 * With wipe true, every secret is wiped (securemem_wipe_all) when the process ends by
 * exit(3), return from main, or quick_exit(3): at exit behind all handlers of atexit(3) and
 * the destructors of what uses the library, which may use secrets until then; at quick_exit
 * behind the handlers that were registered later. Not at _exit(2), nor by a signal.
 * false: it is not done any more. A forked child does the same, with its own secrets.
 * 0; -ENOMEM: at_quick_exit(3) has no room.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_wipe_on_exit(bool wipe);

/*
 * Signals that end a process; they may be combined.
 *
 * FAULTS       SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP: the program is at
 *              fault. Secrets are wiped, then the handler that was there before runs, as if
 *              this one were not there, or the signal ends the process. Not for a program
 *              whose own handler of such a signal goes on (a JVM, a garbage collector): it
 *              would go on without its secrets. SIGTRAP of a section (witness.h) or of
 *              another user's perf_event_open(2), if there is a handler, wipes nothing.
 * TERMINATION  SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU,
 *              SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR: those of them that are at their
 *              default now. What the program handles or ignores does not end it, and stays
 *              as it is.
 */
typedef enum securemem_fatal_signals {
    SECUREMEM_SIGNALS_FAULTS = 1,
    SECUREMEM_SIGNALS_TERMINATION = 2
} securemem_fatal_signals;

/*
 * From now on, every secret is wiped when one of these signals is about to end the process,
 * which then ends by it: with the same wait(2) status, core and siginfo_t as without. A
 * SIGKILL wipes nothing. What was asked for before and is not in signals is given back: 0
 * gives back all. A handler that the program sets later replaces this one, and stays; what it
 * puts back to SIG_DFL wipes nothing until it is asked for again.
 *
 * The calling thread gets a stack for the handler (securemem_signal_stack).
 * 0; -EINVAL: an unknown flag; -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN: as there, or the kernel
 * refuses a handler. A refusal changes nothing.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_wipe_on_fatal_signal(unsigned signals);

/*
 * A stack for signal handlers of the calling thread (sigaltstack(2)): guarded, locked, never
 * dumped, and given back when the thread ends. Without one, a thread whose stack overflowed
 * dies before anything can be wiped, and the registers of a fault are left on its ordinary
 * stack. A thread that has one keeps that. A forked child has it, but not its lock. It takes
 * 64 KiB of the lock limit and what the processor's registers need, 4 KiB or more, which
 * securemem_budget does not count as charged.
 * 0; -ENOMEM, -EPERM: a limit, which the error names; -ENOTSUP: locks or MADV_DONTDUMP have
 * no effect here; -EAGAIN: the kernel was short of something.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_signal_stack(void);

/* LOCKS */

/*
 * Locks the pages that length bytes at start lie on: memory that is not the library's, in
 * memory and not in swap. Counted by page: one is unlocked by the last unlock that it is
 * in, so that neighbours may share it. A part of what was locked may be unlocked alone.
 *
 * Unlock before the memory is unmapped or given back. The count knows nothing of the
 * program's own mlock(2) and munlock(2): they do not nest with it, nor with each other. In
 * deterministic mode what is unlocked stays locked until the mode ends. A forked child has
 * no locks and begins without ranges.
 *
 * 0; -EINVAL: length is 0, a part is not mapped, pages are the library's own; -ENOMEM,
 * -EPERM: the lock limit, which the error names; -ENOTSUP: the kernel locks no such memory,
 * or pretends to; -EAGAIN: it was short of something. A refusal changes nothing.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_lock_range(void *start, size_t length);

/*
 * 0; -EINVAL: length is 0, or a page is not locked by securemem_lock_range in this process;
 * -ENOMEM, -EPERM, -EAGAIN: the kernel refuses. A refusal changes nothing.
 */
SECUREMEM_API int securemem_unlock_range(void *start, size_t length);

#ifdef __cplusplus
}
#endif
#endif
