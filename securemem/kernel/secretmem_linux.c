/* SPDX-License-Identifier: ISC */
#include "kernel/secretmem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "kernel/answer.h"

/* Linux's own number, the same on every architecture that has the call. */
#define SYSCALL_MEMFD_SECRET 447

/* The flag is O_CLOEXEC; FD_CLOEXEC, which the man page names, is EINVAL (Linux 6.18). */
int smem_kernel_secret_open(void)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYSCALL_MEMFD_SECRET, O_CLOEXEC));
}

int smem_kernel_set_length(int descriptor, size_t length)
{
    int before = errno;
    return (int)smem_answer(before, ftruncate(descriptor, (off_t)length));
}

int smem_kernel_map_over(void *start, size_t length, int descriptor)
{
    int before = errno;
    void *got = mmap(start, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                     descriptor, 0);
    return (int)smem_answer(before, got == MAP_FAILED ? -1 : 0);
}

int smem_kernel_reserve_over(void *start, size_t length)
{
    int before = errno;
    void *got =
        mmap(start, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return (int)smem_answer(before, got == MAP_FAILED ? -1 : 0);
}
