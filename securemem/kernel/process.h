/* SPDX-License-Identifier: ISC */
/*
 * What is asked of the kernel for a process or a thread as a whole. The contract is that
 * of kernel.h.
 */
#ifndef SMEM_PROCESS_H
#define SMEM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* mlockall(2): what is mapped now, all of it or what comes in (Linux 4.4), or later too. */
enum smem_kernel_lock_all {
    SMEM_LOCK_CURRENT_ON_FAULT,
    SMEM_LOCK_FUTURE,
    SMEM_LOCK_FUTURE_ON_FAULT
};

int smem_kernel_lock_all(enum smem_kernel_lock_all what);
int smem_kernel_unlock_all(void);

/* RLIMIT_MEMLOCK, soft, in bytes; SIZE_MAX for no limit. */
int smem_kernel_set_lock_limit(size_t soft);

/*
 * Flags of the process (prctl(2)): no transparent huge pages (Linux 3.15), pages may be
 * merged by KSM (Linux 6.4). 0 or 1.
 */
enum smem_kernel_flag { SMEM_FLAG_NO_HUGE_PAGES, SMEM_FLAG_MERGE };
int smem_kernel_get_flag(enum smem_kernel_flag flag);
int smem_kernel_set_flag(enum smem_kernel_flag flag, bool value);

/* Memory for a test of headroom or a stack: mmap(2), readable and writable. */
int smem_kernel_map(size_t length, void **out);

/* What getrusage(RUSAGE_THREAD) counts of the calling thread. */
struct smem_kernel_faults {
    uint64_t minor, major;
};
int smem_kernel_thread_faults(struct smem_kernel_faults *out);

/* The bytes that the calling thread's stack may still grow, or has left. */
int smem_kernel_stack_left(size_t *out);

/* What glibc's malloc reserves for a thread that has no arena yet; 0: another one. */
size_t smem_kernel_malloc_reserve(void);

/* mallopt(3) of glibc: one arena, nothing given back, no mmap. -ENOTSUP elsewhere. */
int smem_kernel_tune_malloc(void);

/* MADV_DONTFORK, MADV_DOFORK. */
int smem_kernel_inherit(void *start, size_t length, bool inherit);

/* Nanoseconds of CLOCK_MONOTONIC; 0 where it is refused. */
uint64_t smem_kernel_nanoseconds(void);

/* A round of the clocks that a service asks for the time. */
int smem_kernel_touch_clocks(void);

#endif
