/* SPDX-License-Identifier: ISC */
/* See process.h for what each promises. */
#include "kernel/process.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/answer.h"

/* Linux's own numbers, for C libraries that are older than the kernel they run on. */
#define LOCK_CURRENT      1
#define LOCK_FUTURE       2
#define LOCK_ON_FAULT     4
#define PRCTL_SET_NO_HUGE 41
#define PRCTL_GET_NO_HUGE 42
#define PRCTL_SET_MERGE   67
#define PRCTL_GET_MERGE   68

/* Past the C library: the sanitizers replace its functions by ones that lock nothing. */
int smem_kernel_lock_all(enum smem_kernel_lock_all what)
{
    static const int flags[] = {
        [SMEM_LOCK_CURRENT_ON_FAULT] = LOCK_CURRENT | LOCK_ON_FAULT,
        [SMEM_LOCK_FUTURE] = LOCK_CURRENT | LOCK_FUTURE,
        [SMEM_LOCK_FUTURE_ON_FAULT] = LOCK_CURRENT | LOCK_FUTURE | LOCK_ON_FAULT,
    };
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_mlockall, flags[what]));
}

int smem_kernel_unlock_all(void)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_munlockall));
}

int smem_kernel_set_lock_limit(size_t soft)
{
    struct rlimit limit;
    int before = errno;
    int result = (int)smem_answer(before, getrlimit(RLIMIT_MEMLOCK, &limit));
    if (result != 0)
        return result;
    limit.rlim_cur = soft == SIZE_MAX ? RLIM_INFINITY : soft;
    return (int)smem_answer(before, setrlimit(RLIMIT_MEMLOCK, &limit));
}

int smem_kernel_get_flag(enum smem_kernel_flag flag)
{
    int option = flag == SMEM_FLAG_MERGE ? PRCTL_GET_MERGE : PRCTL_GET_NO_HUGE;
    int before = errno;
    return (int)smem_answer(before, prctl(option, 0UL, 0UL, 0UL, 0UL));
}

int smem_kernel_set_flag(enum smem_kernel_flag flag, bool value)
{
    int option = flag == SMEM_FLAG_MERGE ? PRCTL_SET_MERGE : PRCTL_SET_NO_HUGE;
    int before = errno;
    return (int)smem_answer(before, prctl(option, (unsigned long)value, 0UL, 0UL, 0UL));
}

int smem_kernel_map(size_t length, void **out)
{
    int before = errno;
    void *start =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int result = (int)smem_answer(before, start == MAP_FAILED ? -1 : 0);
    if (result == 0)
        *out = start;
    return result;
}

int smem_kernel_thread_faults(struct smem_kernel_faults *out)
{
    struct rusage usage;
    int before = errno;
    int result = (int)smem_answer(before, getrusage(RUSAGE_THREAD, &usage));
    if (result == 0)
        *out = (struct smem_kernel_faults){.minor = (uint64_t)usage.ru_minflt,
                                           .major = (uint64_t)usage.ru_majflt};
    return result;
}

int smem_kernel_stack_left(size_t *out)
{
    pthread_attr_t attributes;
    void *start;
    size_t size;
    int before = errno;
    int result = -pthread_getattr_np(pthread_self(), &attributes);
    if (result == 0) {
        result = -pthread_attr_getstack(&attributes, &start, &size);
        (void)pthread_attr_destroy(&attributes); /* holds nothing that could fail */
    }
    errno = before;
    if (result == 0)
        *out = (size_t)((uintptr_t)__builtin_frame_address(0) - (uintptr_t)start);
    return result;
}

size_t smem_kernel_malloc_reserve(void)
{
#if defined(__GLIBC__)
    /* HEAP_MAX_SIZE: twice the largest size that goes into an arena. */
    return sizeof(void *) == 8 ? (size_t)64 << 20 : (size_t)1 << 20;
#else
    return 0;
#endif
}

int smem_kernel_tune_malloc(void)
{
#if defined(__GLIBC__)
    static const int options[][2] = {
        {M_ARENA_MAX, 1}, {M_TRIM_THRESHOLD, -1}, {M_MMAP_MAX, 0}, {M_TOP_PAD, 1 << 16}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (mallopt(options[i][0], options[i][1]) != 1)
            return -ENOTSUP;
    return 0;
#else
    return -ENOTSUP;
#endif
}

int smem_kernel_inherit(void *start, size_t length, bool inherit)
{
    int before = errno;
    return (int)smem_answer(
        before, madvise(start, length, inherit ? MADV_DOFORK : MADV_DONTFORK));
}

uint64_t smem_kernel_nanoseconds(void)
{
    struct timespec now = {0};
    int before = errno;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    errno = before;
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int smem_kernel_touch_clocks(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
                                       CLOCK_THREAD_CPUTIME_ID};
    struct timespec now;
    int before = errno, result = 0;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks && result == 0; i++)
        result = (int)smem_answer(before, clock_gettime(clocks[i], &now));
    return result;
}
