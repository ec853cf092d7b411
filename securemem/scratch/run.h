/* SPDX-License-Identifier: ISC */
/* A call on another stack, by whatever way this machine has. */
#ifndef SMEM_RUN_H
#define SMEM_RUN_H

#include <stddef.h>

struct smem_run {
    void (*function)(void *argument);
    void *argument;
    char *low;   /* where the stack ends, and */
    char *start; /* where it begins, aligned to 16 bytes */
};

/*
 * Runs it, registers cleared behind it. 0, or a negative errno, recorded, with nothing run.
 */
int smem_run(const struct smem_run *run);

/* The bytes that the way itself takes of a stack. */
size_t smem_run_needs(void);

#endif
