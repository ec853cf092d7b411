/* SPDX-License-Identifier: ISC */
/*
 * Around what is a cancellation point (pthreads(7)) in another library: cancelled in it, a
 * thread would leave for ever what it holds, here or there. What was asked for meanwhile
 * happens later.
 */
#ifndef SMEM_CANCEL_H
#define SMEM_CANCEL_H

/* Gives what smem_kernel_allow_cancel takes. They nest. */
int smem_kernel_forbid_cancel(void);
void smem_kernel_allow_cancel(int before);

#endif
