/* SPDX-License-Identifier: ISC */
/*
 * Milliseconds since the machine started, also while it slept: lifetimes go on meanwhile.
 * False: the kernel does not say. Who went on without knowing would keep keys for ever.
 */
#ifndef AGENT_CLOCK_H
#define AGENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline bool clock_now(uint64_t *milliseconds)
{
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) /* Linux 2.6.39 */
        return false;
    *milliseconds = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return true;
}

#endif
