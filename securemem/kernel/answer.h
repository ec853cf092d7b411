/* SPDX-License-Identifier: ISC */
#ifndef SMEM_ANSWER_H
#define SMEM_ANSWER_H

#include <errno.h>

/*
 * A call's result, or the negative errno. errno itself is put back to what it was before:
 * probes that fail by intention must not be seen by the program.
 */
static inline long smem_answer(int before, long result)
{
    int code = errno;
    errno = before;
    return result < 0 ? -(long)code : result;
}

#endif
