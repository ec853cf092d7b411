/* SPDX-License-Identifier: ISC */
#ifndef SMEM_POLL_H
#define SMEM_POLL_H

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/answer.h"

/* Waits without an end. Past the C library, where it is a cancellation point. */
static inline int smem_poll(struct pollfd *ends, size_t count)
{
    int before = errno;
    return (int)smem_answer(before,
                            syscall(SYS_ppoll, ends, (unsigned)count, NULL, NULL, 0UL));
}

#endif
