/* SPDX-License-Identifier: ISC */
/*
 * In a source file of its own: the C library declares its functions as leaves, and a
 * compiler that sees the counter beside such a call may keep it in a register.
 */
#include "faults/wrap.h"

#include <errno.h>
#include <string.h>

#include "kernel/barrier.h"
#include "kernel/kernel.h"

static struct fault_state own_state;
static struct fault_state *state = &own_state;
static bool ignores_locks;

void fault_use(struct fault_state *other)
{
    state = other;
}

void fault_arm(const struct fault_plan *plan)
{
    memset(state, 0, sizeof *state);
    state->plan = *plan;
    state->armed = true;
}

void fault_disarm(void)
{
    state->armed = false;
}

const struct fault_plan *fault_plan(void)
{
    return &state->plan;
}

unsigned fault_calls(enum fault_function function)
{
    return state->calls[function];
}

bool fault_was_hit(void)
{
    return state->hit;
}

void fault_ignore_locks(bool ignore)
{
    ignores_locks = ignore;
}

const char *fault_name(enum fault_function function)
{
    static const char *const names[] = {
        "mmap",
        "mmap at",
        "munmap",
        "mprotect",
        "madvise",
        "process_madvise",
        "mlock",
        "mlock2",
        "munlock",
        "is_locked",
        "is_readable",
        "prctl",
        "getrlimit",
        "capget",
        "open",
        "close",
        "read",
        "write",
        "clock_gettime",
        "pthread_atfork",
        "mlockall",
        "munlockall",
        "setrlimit",
        "prctl get",
        "prctl set",
        "mmap of memory",
        "getrusage",
        "stack",
        "mallopt",
        "madvise fork",
        "clocks",
        "PAGEMAP_SCAN",
        "pread of pagemap",
        "perf_event_open",
        "perf enable",
        "perf output",
        "perf id",
        "mmap of perf",
        "read of perf",
        "sigaction",
        "sigaction back",
        "pthread_sigmask",
        "malloc",
        "memfd_secret",
        "ftruncate",
        "mmap of a file",
        "mmap over",
        "sigaltstack",
        "sigaltstack, setting",
        "pthread_create",
        "open of a file",
        "open of a directory",
        "openat",
        "fstat",
        "poll to read",
        "poll to write",
        "open of /dev/tty",
        "tcsetattr",
        "sigaction of all",
        "poll of a terminal",
        "tcsetattr back",
        "getrlimit of cores",
        "setrlimit of cores",
        "prctl asking",
        "prctl renouncing",
        "at_quick_exit",
        "sigaction of an end",
        "sigaction of an end, back",
        "sigaction asking",
        "pkey_alloc",
        "pkey_free",
        "pkey_mprotect",
        "membarrier announced",
        "membarrier",
        "nothing",
    };
    return names[function];
}

bool fault_fails(enum fault_function function, int *result)
{
    if (!state->armed)
        return false;
    const struct fault_plan *plan = &state->plan;
    unsigned call = ++state->calls[function];
    if (plan->call != 0 && function == plan->function &&
        (call == plan->call || (plan->onward && call > plan->call))) {
        state->hit = true;
        *result = plan->result;
        return true;
    }
    if (state->hit && function == plan->then) {
        *result = plan->then_result;
        return true;
    }
    return false;
}

WRAP(int, FAULT_RESERVE, smem_kernel_reserve, (size_t length, void **out), (length, out))
WRAP(int, FAULT_RESERVE_AT, smem_kernel_reserve_at, (void *start, size_t length),
     (start, length))
WRAP(int, FAULT_UNMAP, smem_kernel_unmap, (void *start, size_t length), (start, length))
WRAP(int, FAULT_PROTECT, smem_kernel_protect,
     (void *start, size_t length, enum smem_kernel_access access),
     (start, length, access))
WRAP(int, FAULT_ADVISE_EACH, smem_kernel_advise_each,
     (char *first, size_t length, size_t stride, size_t count,
      enum smem_kernel_advice advice),
     (first, length, stride, count, advice))
WRAP(int, FAULT_UNLOCK, smem_kernel_unlock, (void *start, size_t length), (start, length))
WRAP(int, FAULT_IS_READABLE, smem_kernel_is_readable, (const void *start), (start))
WRAP(int, FAULT_NAME, smem_kernel_name, (void *start, size_t length, const char *name),
     (start, length, name))
WRAP(int, FAULT_LOCK_LIMIT, smem_kernel_lock_limit, (size_t * soft, size_t *hard),
     (soft, hard))
WRAP(int, FAULT_HAS_IPC_LOCK, smem_kernel_has_ipc_lock, (void), ())
WRAP(int, FAULT_OPEN, smem_kernel_open, (const char *path), (path))
WRAP(long, FAULT_READ, smem_kernel_read, (int descriptor, void *buffer, size_t length),
     (descriptor, buffer, length))
WRAP(long, FAULT_WRITE, smem_kernel_write,
     (int descriptor, const void *bytes, size_t length), (descriptor, bytes, length))
WRAP(int64_t, FAULT_MILLISECONDS, smem_kernel_milliseconds, (void), ())
WRAP(int, FAULT_AT_FORK, smem_kernel_at_fork,
     (void (*prepare)(void), void (*parent)(void), void (*child)(void)),
     (prepare, parent, child))

WRAP(int, FAULT_ANNOUNCE_BARRIER, smem_kernel_announce_barrier, (void), ())
WRAP(int, FAULT_BARRIER, smem_kernel_barrier, (void), ())

int __real_smem_kernel_advise(void *start, size_t length, enum smem_kernel_advice advice);
int __wrap_smem_kernel_advise(void *start, size_t length, enum smem_kernel_advice advice);
int __wrap_smem_kernel_advise(void *start, size_t length, enum smem_kernel_advice advice)
{
    int result;
    if (fault_fails(FAULT_ADVISE, &result) &&
        (result != 0 || advice == SMEM_ADVICE_UNKNOWN))
        return result;
    return __real_smem_kernel_advise(start, length, advice);
}

int __real_smem_kernel_close(int descriptor);
int __wrap_smem_kernel_close(int descriptor);
int __wrap_smem_kernel_close(int descriptor)
{
    int result, closed = __real_smem_kernel_close(descriptor);
    return fault_fails(FAULT_CLOSE, &result) ? result : closed;
}

/* What a wrapped lock does instead of locking by the plan; true where it does so. */
static bool lock_fails(enum fault_function function, void *start, size_t length,
                       int (*real)(void *, size_t), int *result)
{
    if (ignores_locks) {
        *result = 0;
        return true;
    }
    if (!fault_fails(function, result))
        return false;
    if (*result == -ENOMEM)
        (void)real(start, length); /* whether it locks all, a part or nothing */
    return true;
}

int __real_smem_kernel_lock(void *start, size_t length);
int __wrap_smem_kernel_lock(void *start, size_t length);
int __wrap_smem_kernel_lock(void *start, size_t length)
{
    int result;
    if (lock_fails(FAULT_LOCK, start, length, __real_smem_kernel_lock, &result))
        return result;
    return __real_smem_kernel_lock(start, length);
}

int __real_smem_kernel_lock_on_fault(void *start, size_t length);
int __wrap_smem_kernel_lock_on_fault(void *start, size_t length);
int __wrap_smem_kernel_lock_on_fault(void *start, size_t length)
{
    int result;
    if (lock_fails(FAULT_LOCK_ON_FAULT, start, length, __real_smem_kernel_lock_on_fault,
                   &result))
        return result;
    return __real_smem_kernel_lock_on_fault(start, length);
}

int __real_smem_kernel_is_locked(void *start, size_t length);
int __wrap_smem_kernel_is_locked(void *start, size_t length);
int __wrap_smem_kernel_is_locked(void *start, size_t length)
{
    int result;
    if (ignores_locks)
        return 1;
    return fault_fails(FAULT_IS_LOCKED, &result)
               ? result
               : __real_smem_kernel_is_locked(start, length);
}
