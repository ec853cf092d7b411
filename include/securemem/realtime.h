/* SPDX-License-Identifier: ISC */
/*
 * Deterministic mode: a process whose memory is all there before it is needed, so that no
 * instruction waits for a page.
 *
 *      plan --> preflight --> enter --> sections (witness.h) --> leave
 *               what is       locks,    what faulted,            secrets stay locked
 *               missing       fills,    and where
 *                             checks
 *
 *      securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
 *      if (securemem_rt_enter(&plan) != 0)
 *          fputs(securemem_last_error()->message, stderr);
 *
 * Enter after the last fork(2) or daemon(3), before threads are started and privileges are
 * dropped. What mlockall(2) leaves undone is done here: its errors in populating are not
 * told by the kernel, the main thread's stack below its pointer is not mapped yet, and an
 * allocator gives locked memory back and takes it anew.
 *
 * MODES
 *
 * FULL      mlockall(MCL_CURRENT | MCL_FUTURE): everything, now and later. Growth then waits
 *           inside the call that grows: malloc of 32 MiB takes milliseconds.
 * DECLARED  MCL_ONFAULT: what is touched stays; the declared ranges, the stack and the
 *           heap reserve are touched here. All of the address space is charged to
 *           RLIMIT_MEMLOCK, as in FULL.
 * REGION    no mlockall: the declared ranges, the stack and nothing else. For a process with
 *           large sparse mappings (sanitizers, Go, Java), and for small limits: of the main
 *           thread all of the stack that is mapped is locked, 132 KiB and more.
 *
 * Secrets keep their guards and locks while the mode comes and goes, and arenas grow in it.
 *
 * FORK. A child inherits no lock: securemem_rt_active() is false there, and its calls work
 * as in a process that never entered. The parent pays: each of its pages that the child
 * shares is copied when it is next written, 16,384 faults for 64 MiB. posix_spawn(3) costs
 * two; declared ranges with .keep_from_children cost none. securemem_rt_get_status tells
 * how many forks there were.
 */
#ifndef SECUREMEM_REALTIME_H
#define SECUREMEM_REALTIME_H

#include <pthread.h>
#include <securemem/witness.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum securemem_rt_mode {
    SECUREMEM_RT_FULL = 0,
    SECUREMEM_RT_DECLARED = 1,
    SECUREMEM_RT_REGION = 2
} securemem_rt_mode;

/* Memory that has to be there: whole pages of it are. */
typedef struct securemem_rt_range {
    void *start;
    size_t length;           /* bytes, not 0 */
    bool keep_from_children; /* MADV_DONTFORK: a forked child that touches it faults */
} securemem_rt_range;

/* What to prepare for. Zero-filled: everything is locked, and nothing is held ready. */
typedef struct securemem_rt_plan {
    securemem_rt_mode mode;
    size_t stack;   /* bytes of the calling thread's stack that are touched; 0: 128 KiB */
    size_t threads; /* that will be started, for the estimate and the headroom */
    size_t thread_stack; /* bytes of the stack of each; 0: 128 KiB */
    size_t heap;      /* bytes that malloc(3) is made to hold ready; 0: none; REGION: 0 */
    bool tune_malloc; /* mallopt(3): one arena, nothing is given back, no mmap. It cannot
                            be undone; without it a heap reserve may be given back */
    const securemem_rt_range *ranges; /* they outlive the mode */
    size_t range_count;
    uint64_t reserved[4]; /* 0 */
} securemem_rt_plan;

#define SECUREMEM_RT_STACK_DEFAULT ((size_t)128 * 1024)
#define SECUREMEM_RT_PLAN_DEFAULT                                                        \
    {                                                                                    \
        SECUREMEM_RT_FULL, 0, 0, 0, 0, false, NULL, 0,                                   \
        {                                                                                \
            0                                                                            \
        }                                                                                \
    }

/* PREFLIGHT */

typedef enum securemem_rt_severity {
    SECUREMEM_RT_NOTE = 0,    /* good to know */
    SECUREMEM_RT_WARNING = 1, /* costs latency at times, or may fail later */
    SECUREMEM_RT_REFUSAL = 2  /* securemem_rt_enter refuses */
} securemem_rt_severity;

typedef enum securemem_rt_check {
    SECUREMEM_RT_CHECK_LOCK_LIMIT = 1, /* RLIMIT_MEMLOCK against what is planned */
    SECUREMEM_RT_CHECK_NAMESPACE,      /* CAP_IPC_LOCK that does not count */
    SECUREMEM_RT_CHECK_LOCKS,          /* locks do nothing: a sanitizer, an emulator */
    SECUREMEM_RT_CHECK_CGROUP,         /* the memory limit of a control group: SIGKILL */
    SECUREMEM_RT_CHECK_MEMORY,         /* MemAvailable */
    SECUREMEM_RT_CHECK_SPARSE,         /* mappings that are too large to be filled */
    SECUREMEM_RT_CHECK_STACK,  /* RLIMIT_STACK, or the calling thread's, against .stack */
    SECUREMEM_RT_CHECK_MALLOC, /* arenas of malloc, of which planned knows nothing */
    SECUREMEM_RT_CHECK_COMPACTION, /* vm.compact_unevictable_allowed */
    SECUREMEM_RT_CHECK_NUMA,       /* kernel.numa_balancing */
    SECUREMEM_RT_CHECK_HUGE_PAGES, /* transparent huge pages */
    SECUREMEM_RT_CHECK_KSM,        /* merging of pages */
    SECUREMEM_RT_CHECK_SWAP,       /* what is not locked goes there */
    SECUREMEM_RT_CHECK_PERF        /* kernel.perf_event_paranoid: the witness */
} securemem_rt_check;

#define SECUREMEM_RT_SENTENCE_BYTES 200
#define SECUREMEM_RT_CHECKS         16

typedef struct securemem_rt_result {
    securemem_rt_check check;
    securemem_rt_severity severity;
    size_t needed, limit, in_use; /* bytes, or the value of a setting in limit */
    char sentence[SECUREMEM_RT_SENTENCE_BYTES]; /* with the remedy */
} securemem_rt_result;

typedef struct securemem_rt_preflight_report {
    /*
     * Bytes charged to RLIMIT_MEMLOCK at most while entering, those of now included: a limit
     * of so many is enough for that, but not for what the program maps later, nor for what
     * its malloc takes for its threads.
     */
    size_t planned;
    size_t refusals, warnings;
    size_t count;
    securemem_rt_result results[SECUREMEM_RT_CHECKS];
} securemem_rt_preflight_report;

/*
 * What the plan meets on this system, called in the thread that is to enter. Changes
 * nothing. Settings that cannot be read give no result. Entering may be refused for what is
 * seen by trying alone: headroom, and pages that do not come in.
 * 0; -EINVAL: it is not a plan, or a range is not mapped; -EPERM: /proc cannot be read;
 * -EAGAIN: there is no descriptor left for it.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_rt_preflight(const securemem_rt_plan *plan,
                       securemem_rt_preflight_report *report);

/* THE MODE */

/*
 * Enters. Counted: who enters again, with a plan of its own, has its ranges, stack and heap
 * prepared too, and the mode ends with the last leave; modes may differ, the first one
 * decides what is locked beside ranges.
 *
 * In this order: preflight, of which a refusal is one; huge pages and merging off; malloc
 * tuned, if asked for; ranges; mlockall; the stack and the clocks; the heap; a mapping and a
 * thread as a test of headroom, so that what would fail an hour later fails now; an audit of
 * what was prepared. A step that is refused undoes those before it, and the error is its own; only
 * mallopt stays.
 *
 * 0; -EINVAL: it is not a plan, or a range is not mapped; -ENOMEM: a limit, which the error
 * names; -EPERM: a limit of 0, or /proc cannot be read; -ENOTSUP:
 * locks have no effect here; -EAGAIN: the kernel was short of memory or threads, or a page
 * was not there after all.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_rt_enter(const securemem_rt_plan *plan);

/*
 * Leaves, if it is the last one: what was not locked before entering is unlocked, and no
 * secret is so for a moment. mallopt stays; so do pages of ranges.
 * 0; -EINVAL: the mode is not on; -EPERM, -EAGAIN: the kernel refused, and the mode stays.
 */
SECUREMEM_API int securemem_rt_leave(void);

typedef struct securemem_rt_status {
    bool active;        /* in this process */
    size_t entered;     /* how often, without leaves */
    size_t locked;      /* VmLck, in bytes */
    size_t forks;       /* in the mode, since the first enter */
    uint64_t fork_time; /* nanoseconds that they took, all together */
    size_t fork_shared; /* bytes that the last child got too: each page of them is copied,
                           by a fault, when it is next written */
    bool window;        /* the last leave had to unlock secrets for a moment: mlockall was
                         refused, for privileges were dropped */
    bool malloc_tuned;
} securemem_rt_status;

/* 0, -EINVAL (NULL) or -EPERM: /proc cannot be read. */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_rt_get_status(securemem_rt_status *out);

/* Whether the mode is on in this process: false in a forked child. */
SECUREMEM_API bool securemem_rt_active(void);

/* THREADS */

typedef struct securemem_rt_thread_options {
    size_t stack; /* bytes, guard not included; 0: 128 KiB, PTHREAD_STACK_MIN at least */
    int fifo_priority; /* of SCHED_FIFO, 1 to 99; 0: as the creator */
    bool cold; /* malloc, clocks and witness are not warmed before start is called */
    uint64_t reserved[4];
} securemem_rt_thread_options;

/*
 * A thread on a stack of exactly that size, in memory, locked and behind a guard, whose
 * thread-local storage, malloc, clocks and witness were used once before start(argument) is
 * called. Join it with securemem_rt_thread_join, which gives the stack back.
 *
 * 0; -EINVAL: options; -EPERM: the priority is refused (RLIMIT_RTPRIO, CAP_SYS_NICE) or
 * the lock is; -ENOMEM: the lock limit or memory; -EAGAIN: too many threads.
 */
typedef struct securemem_rt_thread securemem_rt_thread;

SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_rt_thread_create(securemem_rt_thread **thread,
                           const securemem_rt_thread_options *options,
                           void *(*start)(void *argument), void *argument);

/* Waits for its end. result may be NULL. 0, or -EINVAL: not such a thread, or the caller. */
SECUREMEM_API int securemem_rt_thread_join(securemem_rt_thread *thread, void **result);

#ifdef __cplusplus
}
#endif
#endif
