/* SPDX-License-Identifier: ISC */
/* The alternate signal stack of a thread: |guard| stack |, locked and never dumped. */
#ifndef SMEM_PROCESS_STACK_H
#define SMEM_PROCESS_STACK_H

#include <stdbool.h>

/*
 * The calling thread has one afterwards; *made: which it had not before. 0 or a negative
 * errno, recorded.
 */
int smem_signal_stack_begin(bool *made);

/* Gives it back, if it is the library's. 0 or a negative errno, recorded. */
int smem_signal_stack_end(void);

#endif
