/* SPDX-License-Identifier: ISC */
#ifndef SMEM_MISUSE_H
#define SMEM_MISUSE_H

#include <securemem/misuse.h>

/*
 * The caller is wrong: runs the program's handler, or wipes everything, writes one line
 * and aborts. Called with no lock held; returns where the handler does.
 */
void smem_misuse(securemem_misuse_kind kind, const void *pointer);

/*
 * Between these, which nest, the first misuse that the calling thread meets waits for the
 * last smem_misuse_resume, where the program has a handler: locks are held, or something
 * stands half way, that a handler which forks or jumps would leave so for ever.
 */
void smem_misuse_hold(void);
void smem_misuse_resume(void);

#endif
