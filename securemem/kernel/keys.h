/* SPDX-License-Identifier: ISC */
/*
 * Protection keys (pkeys(7), Linux 4.9; processors of x86-64 that have PKU): each page has
 * one of 16, each thread rights to each. Contract as in kernel.h.
 */
#ifndef SMEM_KEYS_H
#define SMEM_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/kernel.h"

/* Key 0 is that of all memory that was given no other. */
#define SMEM_KERNEL_KEYS 16U

/*
 * A key that nobody in the process uses, to which the calling thread has no rights:
 * pkey_alloc(2). -EOPNOTSUPP where the processor has none or the kernel does not use them,
 * which the call itself does not tell from -ENOSPC: all are in use.
 */
int smem_kernel_key_alloc(void);

/* pkey_free(2): pages and rights of threads stay as they are. */
int smem_kernel_key_free(unsigned key);

/* pkey_mprotect(2). Later mprotect(2) leaves the key as it is. */
int smem_kernel_key_protect(void *start, size_t length, enum smem_kernel_access access,
                            unsigned key);

/*
 * The rights of the calling thread, two bits a key from the lowest on (the register PKRU):
 * 1 no access, 2 no writing. No system call; only while a key is allocated.
 */
uint32_t smem_kernel_rights(void);
void smem_kernel_set_rights(uint32_t rights);

#endif
