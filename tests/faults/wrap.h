/* SPDX-License-Identifier: ISC */
/*
 * The kernel seam with faults: every function of kernel/kernel.h that can fail is wrapped
 * by the linker (--wrap) and delegates to the real one, but for the calls that the plan
 * picks out.
 */
#ifndef FAULTS_WRAP_H
#define FAULTS_WRAP_H

#include <stdbool.h>

enum fault_function {
    FAULT_RESERVE,
    FAULT_RESERVE_AT,
    FAULT_UNMAP,
    FAULT_PROTECT,
    FAULT_ADVISE,
    FAULT_ADVISE_EACH,
    FAULT_LOCK,
    FAULT_LOCK_ON_FAULT,
    FAULT_UNLOCK,
    FAULT_IS_LOCKED,
    FAULT_IS_READABLE,
    FAULT_NAME,
    FAULT_LOCK_LIMIT,
    FAULT_HAS_IPC_LOCK,
    FAULT_OPEN,
    FAULT_CLOSE,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_MILLISECONDS,
    FAULT_AT_FORK,
    FAULT_LOCK_ALL,
    FAULT_UNLOCK_ALL,
    FAULT_SET_LOCK_LIMIT,
    FAULT_GET_FLAG,
    FAULT_SET_FLAG,
    FAULT_MAP,
    FAULT_THREAD_FAULTS,
    FAULT_STACK_LEFT,
    FAULT_TUNE_MALLOC,
    FAULT_INHERIT,
    FAULT_TOUCH_CLOCKS,
    FAULT_SCAN_PAGES,
    FAULT_READ_PAGES,
    FAULT_PERF_OPEN,
    FAULT_PERF_ENABLE,
    FAULT_PERF_JOIN,
    FAULT_PERF_ID,
    FAULT_PERF_MAP,
    FAULT_PERF_COUNTS,
    FAULT_SET_TRAP,
    FAULT_UNSET_TRAP,
    FAULT_TRAP_IS_BLOCKED,
    FAULT_HEAP,
    FAULT_SECRET_OPEN,
    FAULT_SET_LENGTH,
    FAULT_MAP_OVER,
    FAULT_RESERVE_OVER,
    FAULT_ALTERNATE,
    FAULT_SET_ALTERNATE,
    FAULT_RUN_THREAD,
    FAULT_OPEN_FILE,
    FAULT_OPEN_DIRECTORY,
    FAULT_OPEN_IN,
    FAULT_FILE_STATUS,
    FAULT_WAIT_READABLE,
    FAULT_WAIT_WRITABLE,
    FAULT_OPEN_TERMINAL,
    FAULT_QUIET_TERMINAL,
    FAULT_CATCH_SIGNALS,
    FAULT_WAIT_TERMINAL,
    FAULT_RESTORE_TERMINAL,
    FAULT_HAS_NO_CORE,
    FAULT_SET_NO_CORE,
    FAULT_HAS_RENOUNCED,
    FAULT_RENOUNCE,
    FAULT_AT_QUICK_EXIT,
    FAULT_SET_FATAL,
    FAULT_UNSET_FATAL,
    FAULT_IS_DEFAULT,
    FAULT_KEY_ALLOC,
    FAULT_KEY_FREE,
    FAULT_KEY_PROTECT,
    FAULT_ANNOUNCE_BARRIER,
    FAULT_BARRIER,
    FAULT_FUNCTIONS /* how many; also: none of them */
};

/*
 * Call number call of function gives result instead of what the kernel would. With
 * onward, so does every later one. After the first fault, every call of then gives
 * then_result: a second refusal while the first is being undone.
 *
 * A lock that fails with ENOMEM locks nevertheless, as Linux may; a result of 0 is a lock
 * that pretends. A close that fails closes nevertheless, as Linux does. A result of 0 for
 * advice is given to the unknown advice alone, as an emulator would.
 */
struct fault_plan {
    enum fault_function function;
    unsigned call; /* from 1; 0: none */
    int result;
    bool onward;
    enum fault_function then;
    int then_result;
};

struct fault_state {
    struct fault_plan plan;
    bool armed, hit;
    unsigned calls[FAULT_FUNCTIONS];
};

/* From now on the state is that one, which may be shared with a parent process. */
void fault_use(struct fault_state *state);

/* Counts calls from 0 and fails them by the plan, until fault_disarm. */
void fault_arm(const struct fault_plan *plan);
void fault_disarm(void);

/* Since then: the plan, how often function was called, whether the plan's call came. */
const struct fault_plan *fault_plan(void);
unsigned fault_calls(enum fault_function function);
bool fault_was_hit(void);

/*
 * A positive control: locks lock nothing and the probe says that they did, as if the
 * library did not look at its results.
 */
void fault_ignore_locks(bool ignore);

const char *fault_name(enum fault_function function);

/* Counts a call; true, with the result to give in its place, where it is to fail. */
bool fault_fails(enum fault_function function, int *result);

/* Declares the real function and defines the wrapper of one that simply may fail. */
#define WRAP(type, function, name, parameters, arguments)                                \
    type __real_##name parameters;                                                       \
    type __wrap_##name parameters;                                                       \
    type __wrap_##name parameters                                                        \
    {                                                                                    \
        int result;                                                                      \
        return fault_fails(function, &result) ? result : __real_##name arguments;        \
    }

#endif
