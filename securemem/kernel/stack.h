/* SPDX-License-Identifier: ISC */
/* What is asked of the kernel for stacks. Contract as in kernel.h. */
#ifndef SMEM_STACK_KERNEL_H
#define SMEM_STACK_KERNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* The flag of no alternate signal stack. */
#define SMEM_ALTERNATE_NONE SS_DISABLE

/* The alternate signal stack of the calling thread. */
struct smem_alternate {
    void *start;
    size_t length;
    int flags;      /* as sigaltstack(2) has them */
    bool there;     /* there is one */
    bool stands_on; /* and the caller runs on it */
};

int smem_kernel_alternate(struct smem_alternate *out);
/* Exchanges it; *before, if not NULL, gets the one until now. */
int smem_kernel_set_alternate(const struct smem_alternate *now,
                              struct smem_alternate *before);

/* The most bytes that a signal takes of a stack before its handler runs. */
size_t smem_kernel_signal_frame(void);

/* The bytes of a stack that a thread needs for itself. */
size_t smem_kernel_thread_needs(void);

/* Runs function(argument) in a new thread on that stack, and waits until it has ended. */
int smem_kernel_run_thread(void *stack, size_t length, void *(*function)(void *argument),
                           void *argument);

#endif
