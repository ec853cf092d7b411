/* SPDX-License-Identifier: ISC */
/*
 * All that is asked of the kernel: one function a system call, in kernel_linux.c, which
 * alone reads errno.
 *
 * CONTRACT. Ranges are whole pages. Functions give 0, or a number where they say so, or a
 * negative errno; they never retry, fall back or print. Every one may fail, and a test
 * makes each fail in turn by wrapping its symbol at link time. A failed lock may leave
 * pages locked and charged (Linux 6.18): the caller unlocks the range. A sandbox answers
 * EPERM where an older kernel answers ENOSYS or EINVAL: callers take the three alike.
 */
#ifndef SMEM_KERNEL_H
#define SMEM_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* Access to pages, as in mprotect(2). Values are those of securemem_access. */
enum smem_kernel_access {
    SMEM_ACCESS_NONE = 0,
    SMEM_ACCESS_READ = 1,
    SMEM_ACCESS_WRITE = 2 /* includes reading */
};

/* Advice to madvise(2); each is a number of its own, they cannot be combined. */
enum smem_kernel_advice {
    SMEM_ADVICE_DONTDUMP,    /* Linux 3.4 */
    SMEM_ADVICE_WIPEONFORK,  /* Linux 4.14, private anonymous memory only */
    SMEM_ADVICE_DONTFORK,    /* Linux 2.6.16 */
    SMEM_ADVICE_UNMERGEABLE, /* Linux 2.6.32; EINVAL where KSM is not built in */
    SMEM_ADVICE_NO_HUGE,     /* Linux 2.6.38; EINVAL where huge pages are not built in */
    SMEM_ADVICE_DONTNEED,    /* drop the pages of an unlocked range */
    SMEM_ADVICE_POPULATE, /* MADV_POPULATE_WRITE, Linux 5.14: fault in, with an errno */
    SMEM_ADVICE_GUARD_INSTALL, /* Linux 6.13; EINVAL on a locked range */
    SMEM_ADVICE_GUARD_REMOVE,  /* Linux 6.13 */
    SMEM_ADVICE_UNKNOWN        /* no such advice: a kernel that means it answers EINVAL */
};

/* Reserves length bytes of addresses without access and without memory, at *out. */
int smem_kernel_reserve(size_t length, void **out);
/* The same at start, where nothing is mapped; -EEXIST where something is. */
int smem_kernel_reserve_at(void *start, size_t length);

int smem_kernel_unmap(void *start, size_t length);
int smem_kernel_protect(void *start, size_t length, enum smem_kernel_access access);
int smem_kernel_advise(void *start, size_t length, enum smem_kernel_advice advice);

/*
 * The same for count ranges, SMEM_ADVISE_MOST at most, each stride bytes behind the one
 * before: process_madvise(2) of this process. Kernels that know PIDFD_SELF_THREAD take
 * every advice (seen on Linux 6.18), others give EBADF or EINVAL. Refused half way, the
 * ranges before that are advised; EAGAIN where the kernel does not say why it stopped.
 */
#define SMEM_ADVISE_MOST 64U
int smem_kernel_advise_each(char *first, size_t length, size_t stride, size_t count,
                            enum smem_kernel_advice advice);

/* mlock(2): locks and faults in. mlock2(MLOCK_ONFAULT), Linux 4.4: locks what comes. */
int smem_kernel_lock(void *start, size_t length);
int smem_kernel_lock_on_fault(void *start, size_t length);
int smem_kernel_unlock(void *start, size_t length);

/*
 * 1 where the range begins in a locked mapping, 0 where not: msync(2) with MS_INVALIDATE
 * gives EBUSY for a locked mapping, and does nothing else to anonymous memory.
 */
int smem_kernel_is_locked(void *start, size_t length);

/*
 * 1 where the 8 bytes at start, aligned to 8, can be read, 0 where a read would fault:
 * rt_sigprocmask(2) with an unknown operation copies its set first, then gives EINVAL.
 */
int smem_kernel_is_readable(const void *start);

/* Names the range in /proc/PID/maps (PR_SET_VMA_ANON_NAME, Linux 5.17). */
int smem_kernel_name(void *start, size_t length, const char *name);

size_t smem_kernel_page_size(void);

/* Bytes of memory that the machine has; SIZE_MAX where it does not say. */
size_t smem_kernel_memory(void);

/* RLIMIT_MEMLOCK in bytes; SIZE_MAX for no limit. */
int smem_kernel_lock_limit(size_t *soft, size_t *hard);

/* 1 where the calling thread has CAP_IPC_LOCK effective in its user namespace, else 0. */
int smem_kernel_has_ipc_lock(void);

/* open(2) read-only and close-on-exec: the descriptor. read(2), write(2): the count. */
int smem_kernel_open(const char *path);
int smem_kernel_close(int descriptor);
long smem_kernel_read(int descriptor, void *buffer, size_t length);
long smem_kernel_write(int descriptor, const void *bytes, size_t length);

/* Milliseconds of a clock that only goes forward. */
int64_t smem_kernel_milliseconds(void);

/* Lets another thread run, also one of lower priority on the same processor. */
void smem_kernel_yield(void);

/* pthread_atfork(3): handlers around fork(2). */
int smem_kernel_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
