/* SPDX-License-Identifier: ISC */
/*
 * A test in a process of its own, for what ends one: cmocka turns a SIGSEGV into a
 * failure, so the child has default signal actions, writes no core, and leaves by _exit.
 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <stdint.h>

struct child_end {
    int exit_code;     /* -1 where a signal ended it */
    int signal;        /* 0 where it exited */
    uintptr_t fault;   /* the address of a SIGSEGV or SIGBUS, else 0 */
    int fault_code;    /* its si_code */
    char errors[1024]; /* what it wrote to descriptor 2 */
};

/* Runs body(argument) in a forked child, which exits with what body returns. */
void child_run(int (*body)(void *argument), void *argument, struct child_end *out);

/*
 * In a child: gives up root for an ordinary user without capabilities, with that
 * RLIMIT_MEMLOCK in bytes. False where this process may not.
 */
int child_become_ordinary(uint64_t lock_limit);

#endif
