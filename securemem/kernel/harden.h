/* SPDX-License-Identifier: ISC */
/* What a process gives up for good. Contract as in kernel.h. */
#ifndef SMEM_HARDEN_KERNEL_H
#define SMEM_HARDEN_KERNEL_H

/* RLIMIT_CORE, soft and hard: 1 where both are 0, else 0. */
int smem_kernel_has_no_core(void);
int smem_kernel_set_no_core(void);

/*
 * Of prctl(2): not dumpable; no new privileges (of the calling thread, Linux 3.5); no memory
 * that becomes executable (PR_MDWE_REFUSE_EXEC_GAIN, Linux 6.3). 1 where it holds, else 0.
 */
enum smem_kernel_renounced { SMEM_NOT_DUMPABLE, SMEM_NO_NEW_PRIVS, SMEM_NO_NEW_CODE };
int smem_kernel_has_renounced(enum smem_kernel_renounced what);
int smem_kernel_renounce(enum smem_kernel_renounced what);

#endif
