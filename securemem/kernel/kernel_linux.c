/* SPDX-License-Identifier: ISC */
/* The system calls. See kernel.h for what each promises. */
#include "kernel/hot.h"
#include "kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kernel/answer.h"
#include "kernel/cancel.h"

/* Linux's own numbers, for C libraries that are older than the kernel they run on. */
#define FIXED_NOREPLACE       0x100000
#define ADVICE_WIPEONFORK     18
#define ADVICE_POPULATE_WRITE 23
#define ADVICE_GUARD_INSTALL  102
#define ADVICE_GUARD_REMOVE   103
#define ADVICE_NONE_SUCH      (-1)
#define PIDFD_OF_THIS_THREAD  (-10000) /* PIDFD_SELF_THREAD */

#define LOCK_ON_FAULT           1U
#define PRCTL_SET_VMA           0x53564d41
#define PRCTL_SET_VMA_ANON_NAME 0UL

/*
 * sched_yield(2) lets none of lower priority run. As long as other threads' sleeps are at
 * the least (prctl(2), PR_SET_TIMERSLACK): those of real time wake to the nanosecond.
 */
#define PAUSE_NANOSECONDS 50000

/* The kernel's signal set, of which glibc's is a larger cousin. */
#define KERNEL_SIGSET_BYTES 8UL
#define NO_SUCH_OPERATION   (~0)

/*
 * Calls that are cancellation points in the C library go past it (pthreads(7)): a thread
 * that is cancelled inside one would leave locks held for ever.
 */
static int reserve(void *where, size_t length, int flags, void **out)
{
    int before = errno;
    void *start =
        mmap(where, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    int result = (int)smem_answer(before, start == MAP_FAILED ? -1 : 0);
    if (result == 0)
        *out = start;
    return result;
}

/* Not MAP_NORESERVE: what no machine has is refused when it is made accessible. */
int smem_kernel_reserve(size_t length, void **out)
{
    return reserve(NULL, length, 0, out);
}

int smem_kernel_reserve_at(void *start, size_t length)
{
    /* A kernel before 4.17 takes the address for a hint. */
    void *got;
    int result = reserve(start, length, FIXED_NOREPLACE, &got);
    if (result != 0 || got == start)
        return result;
    (void)smem_kernel_unmap(got, length);
    return -EEXIST;
}

int smem_kernel_unmap(void *start, size_t length)
{
    int before = errno;
    return (int)smem_answer(before, munmap(start, length));
}

SMEM_HOT int smem_kernel_protect(void *start, size_t length,
                                 enum smem_kernel_access access)
{
    static const int flags[] = {
        [SMEM_ACCESS_NONE] = PROT_NONE,
        [SMEM_ACCESS_READ] = PROT_READ,
        [SMEM_ACCESS_WRITE] = PROT_READ | PROT_WRITE,
    };
    int before = errno;
    return (int)smem_answer(before, mprotect(start, length, flags[access]));
}

static int advice_number(enum smem_kernel_advice advice)
{
    static const int numbers[] = {
        [SMEM_ADVICE_DONTDUMP] = MADV_DONTDUMP,
        [SMEM_ADVICE_WIPEONFORK] = ADVICE_WIPEONFORK,
        [SMEM_ADVICE_DONTFORK] = MADV_DONTFORK,
        [SMEM_ADVICE_UNMERGEABLE] = MADV_UNMERGEABLE,
        [SMEM_ADVICE_NO_HUGE] = MADV_NOHUGEPAGE,
        [SMEM_ADVICE_DONTNEED] = MADV_DONTNEED,
        [SMEM_ADVICE_POPULATE] = ADVICE_POPULATE_WRITE,
        [SMEM_ADVICE_GUARD_INSTALL] = ADVICE_GUARD_INSTALL,
        [SMEM_ADVICE_GUARD_REMOVE] = ADVICE_GUARD_REMOVE,
        [SMEM_ADVICE_UNKNOWN] = ADVICE_NONE_SUCH,
    };
    return numbers[advice];
}

int smem_kernel_advise(void *start, size_t length, enum smem_kernel_advice advice)
{
    int before = errno;
    return (int)smem_answer(before, madvise(start, length, advice_number(advice)));
}

int smem_kernel_advise_each(char *first, size_t length, size_t stride, size_t count,
                            enum smem_kernel_advice advice)
{
    struct iovec ranges[SMEM_ADVISE_MOST];
    for (size_t i = 0; i < count; i++)
        ranges[i] = (struct iovec){.iov_base = first + i * stride, .iov_len = length};
    int before = errno;
    long result = smem_answer(before, syscall(SYS_process_madvise, PIDFD_OF_THIS_THREAD,
                                              ranges, count, advice_number(advice), 0U));
    if (result < 0)
        return (int)result;
    return (size_t)result == count * length ? 0 : -EAGAIN;
}

/*
 * The lock calls go past the C library: the address and thread sanitizers replace its
 * functions by ones that give 0 and lock nothing.
 */
int smem_kernel_lock(void *start, size_t length)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_mlock, start, length));
}

int smem_kernel_lock_on_fault(void *start, size_t length)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_mlock2, start, length, LOCK_ON_FAULT));
}

int smem_kernel_unlock(void *start, size_t length)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_munlock, start, length));
}

int smem_kernel_is_locked(void *start, size_t length)
{
    int before = errno;
    int result =
        (int)smem_answer(before, syscall(SYS_msync, start, length, MS_INVALIDATE));
    return result == -EBUSY ? 1 : result;
}

int smem_kernel_is_readable(const void *start)
{
    int before = errno;
    int result = (int)smem_answer(before, syscall(SYS_rt_sigprocmask, NO_SUCH_OPERATION,
                                                  start, NULL, KERNEL_SIGSET_BYTES));
    if (result == 0)
        return -ENOTSUP;
    if (result == -EFAULT)
        return 0;
    return result == -EINVAL ? 1 : result;
}

int smem_kernel_name(void *start, size_t length, const char *name)
{
    int before = errno;
    return (int)smem_answer(before,
                            prctl(PRCTL_SET_VMA, PRCTL_SET_VMA_ANON_NAME,
                                  (unsigned long)start, length, (unsigned long)name));
}

size_t smem_kernel_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    return pages < 0 ? SIZE_MAX : (size_t)pages * smem_kernel_page_size();
}

size_t smem_kernel_page_size(void)
{
    static atomic_size_t size; /* it does not change */
    size_t known = atomic_load_explicit(&size, memory_order_relaxed);
    if (known == 0) {
        known = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&size, known, memory_order_relaxed);
    }
    return known;
}

static size_t limit_of(rlim_t limit)
{
    return limit == RLIM_INFINITY || limit > SIZE_MAX ? SIZE_MAX : (size_t)limit;
}

int smem_kernel_lock_limit(size_t *soft, size_t *hard)
{
    struct rlimit limit;
    int before = errno;
    int result = (int)smem_answer(before, getrlimit(RLIMIT_MEMLOCK, &limit));
    if (result != 0)
        return result;
    *soft = limit_of(limit.rlim_cur);
    *hard = limit_of(limit.rlim_max);
    return 0;
}

int smem_kernel_has_ipc_lock(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    int before = errno;
    int result = (int)smem_answer(before, syscall(SYS_capget, &header, data));
    if (result != 0)
        return result;
    return (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

int smem_kernel_open(const char *path)
{
    int before = errno;
    return (int)smem_answer(before,
                            syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
}

int smem_kernel_close(int descriptor)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_close, descriptor));
}

long smem_kernel_read(int descriptor, void *buffer, size_t length)
{
    int before = errno;
    return smem_answer(before, syscall(SYS_read, descriptor, buffer, length));
}

long smem_kernel_write(int descriptor, const void *bytes, size_t length)
{
    int before = errno;
    return smem_answer(before, syscall(SYS_write, descriptor, bytes, length));
}

int64_t smem_kernel_milliseconds(void)
{
    struct timespec now;
    int before = errno;
    int result = (int)smem_answer(before, clock_gettime(CLOCK_MONOTONIC, &now));
    if (result != 0)
        return result;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void smem_kernel_yield(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    int before = errno, cancel = smem_kernel_forbid_cancel();
    (void)nanosleep(&pause, NULL); /* a signal ends it early */
    smem_kernel_allow_cancel(cancel);
    errno = before;
}

int smem_kernel_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return -pthread_atfork(prepare, parent, child);
}
