/* SPDX-License-Identifier: ISC */
#include "kernel/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/answer.h"
#include "kernel/poll.h"

#define ACCESS_BITS 07777U

static int open_at(int directory, const char *name, int flags)
{
    int before = errno;
    return (int)smem_answer(
        before, syscall(SYS_openat, directory, name, O_RDONLY | O_CLOEXEC | flags));
}

int smem_kernel_open_file(const char *path)
{
    return open_at(AT_FDCWD, path, O_NOCTTY);
}

int smem_kernel_open_directory(const char *path)
{
    return open_at(AT_FDCWD, path, O_DIRECTORY);
}

int smem_kernel_open_in(int directory, const char *name)
{
    return open_at(directory, name, O_NOCTTY | O_NOFOLLOW);
}

int smem_kernel_file_status(int descriptor, struct smem_file_status *out)
{
    struct stat status;
    int before = errno;
    int result = (int)smem_answer(before, fstat(descriptor, &status));
    if (result == 0)
        *out = (struct smem_file_status){.regular = S_ISREG(status.st_mode),
                                         .mode = status.st_mode & ACCESS_BITS,
                                         .owner = status.st_uid,
                                         .size = (uint64_t)status.st_size};
    return result;
}

uint32_t smem_kernel_user(void)
{
    return geteuid();
}

static int wait_for(int descriptor, short events)
{
    struct pollfd waiting = {.fd = descriptor, .events = events};
    int result = smem_poll(&waiting, 1);
    return result < 0 ? result : 0;
}

int smem_kernel_wait_readable(int descriptor)
{
    return wait_for(descriptor, POLLIN);
}

int smem_kernel_wait_writable(int descriptor)
{
    return wait_for(descriptor, POLLOUT);
}
