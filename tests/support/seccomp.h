/* SPDX-License-Identifier: ISC */
/* Sandboxes: system calls that a filter answers instead of the kernel (seccomp(2)). */
#ifndef TEST_SECCOMP_H
#define TEST_SECCOMP_H

#include <stdbool.h>

/*
 * From now on the calling process and its children get error, a positive errno, or 0 for
 * a success that does nothing, from that system call. False where there is no seccomp.
 */
bool seccomp_answer(long number, int error);

/* The same where the call's third argument is that value: madvise(2)'s advice. */
bool seccomp_answer_third(long number, unsigned value, int error);

#endif
