/* SPDX-License-Identifier: ISC */
/* The system calls. See kernel.h for what each promises. */
#include "kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Linux's own numbers, for C libraries that are older than the kernel they run on. */
#define FIXED_NOREPLACE       0x100000
#define ADVICE_WIPEONFORK     18
#define ADVICE_POPULATE_WRITE 23
#define ADVICE_GUARD_INSTALL  102
#define ADVICE_GUARD_REMOVE   103
#define ADVICE_NONE_SUCH      (-1)

#define LOCK_ON_FAULT           1U
#define PRCTL_SET_VMA           0x53564d41
#define PRCTL_SET_VMA_ANON_NAME 0UL

/* The kernel's signal set, of which glibc's is a larger cousin. */
#define KERNEL_SIGSET_BYTES 8UL
#define NO_SUCH_OPERATION   (~0)

static int result_of(long result)
{
    return result < 0 ? -errno : (int)result;
}

int smem_kernel_reserve(size_t length, void **out)
{
    void *start =
        mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return -errno;
    *out = start;
    return 0;
}

int smem_kernel_reserve_at(void *start, size_t length)
{
    /* A kernel before 4.17 takes the address for a hint. */
    void *got =
        mmap(start, length, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | FIXED_NOREPLACE, -1, 0);
    if (got == MAP_FAILED)
        return -errno;
    if (got == start)
        return 0;
    (void)munmap(got, length);
    return -EEXIST;
}

int smem_kernel_unmap(void *start, size_t length)
{
    return result_of(munmap(start, length));
}

int smem_kernel_protect(void *start, size_t length, enum smem_kernel_access access)
{
    static const int flags[] = {
        [SMEM_ACCESS_NONE] = PROT_NONE,
        [SMEM_ACCESS_READ] = PROT_READ,
        [SMEM_ACCESS_WRITE] = PROT_READ | PROT_WRITE,
    };
    return result_of(mprotect(start, length, flags[access]));
}

int smem_kernel_advise(void *start, size_t length, enum smem_kernel_advice advice)
{
    static const int numbers[] = {
        [SMEM_ADVICE_DONTDUMP] = MADV_DONTDUMP,
        [SMEM_ADVICE_WIPEONFORK] = ADVICE_WIPEONFORK,
        [SMEM_ADVICE_DONTFORK] = MADV_DONTFORK,
        [SMEM_ADVICE_UNMERGEABLE] = MADV_UNMERGEABLE,
        [SMEM_ADVICE_DONTNEED] = MADV_DONTNEED,
        [SMEM_ADVICE_POPULATE] = ADVICE_POPULATE_WRITE,
        [SMEM_ADVICE_GUARD_INSTALL] = ADVICE_GUARD_INSTALL,
        [SMEM_ADVICE_GUARD_REMOVE] = ADVICE_GUARD_REMOVE,
        [SMEM_ADVICE_UNKNOWN] = ADVICE_NONE_SUCH,
    };
    return result_of(madvise(start, length, numbers[advice]));
}

/*
 * The lock calls go past the C library: the address and thread sanitizers replace its
 * functions by ones that give 0 and lock nothing.
 */
int smem_kernel_lock(void *start, size_t length)
{
    return result_of(syscall(SYS_mlock, start, length));
}

int smem_kernel_lock_on_fault(void *start, size_t length)
{
    return result_of(syscall(SYS_mlock2, start, length, LOCK_ON_FAULT));
}

int smem_kernel_unlock(void *start, size_t length)
{
    return result_of(syscall(SYS_munlock, start, length));
}

int smem_kernel_is_locked(void *start, size_t length)
{
    if (msync(start, length, MS_INVALIDATE) == 0)
        return 0;
    return errno == EBUSY ? 1 : -errno;
}

int smem_kernel_is_readable(const void *start)
{
    if (syscall(SYS_rt_sigprocmask, NO_SUCH_OPERATION, start, NULL,
                KERNEL_SIGSET_BYTES) == 0)
        return -ENOTSUP;
    if (errno == EFAULT)
        return 0;
    return errno == EINVAL ? 1 : -errno;
}

int smem_kernel_name(void *start, size_t length, const char *name)
{
    return result_of(prctl(PRCTL_SET_VMA, PRCTL_SET_VMA_ANON_NAME, (unsigned long)start,
                           length, (unsigned long)name));
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
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return -errno;
    *soft = limit_of(limit.rlim_cur);
    *hard = limit_of(limit.rlim_max);
    return 0;
}

int smem_kernel_has_ipc_lock(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0)
        return -errno;
    return (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

int smem_kernel_open(const char *path)
{
    return result_of(open(path, O_RDONLY | O_CLOEXEC));
}

int smem_kernel_close(int descriptor)
{
    return result_of(close(descriptor));
}

long smem_kernel_read(int descriptor, void *buffer, size_t length)
{
    ssize_t count = read(descriptor, buffer, length);
    return count < 0 ? -errno : count;
}

long smem_kernel_write(int descriptor, const void *bytes, size_t length)
{
    ssize_t count = write(descriptor, bytes, length);
    return count < 0 ? -errno : count;
}

int64_t smem_kernel_milliseconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return -errno;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void smem_kernel_yield(void)
{
    (void)sched_yield(); /* never fails on Linux */
}

int smem_kernel_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return -pthread_atfork(prepare, parent, child);
}
