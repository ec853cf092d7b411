/* SPDX-License-Identifier: ISC */
/*
 * The protection keys of the library: which it has, and the rights of the calling thread
 * to them. A key is its number; 0 is none.
 */
#ifndef SMEM_REGION_KEYS_H
#define SMEM_REGION_KEYS_H

#include <stdint.h>

#include "kernel/keys.h"

/* Where the rights to a key are in those of a thread. */
static inline uint32_t smem_key_bits(unsigned key)
{
    return key == 0 ? 0 : (uint32_t)3 << (2 * key);
}

/*
 * A key of the process, that was seen to keep the calling thread out of a page. 0 or a
 * negative errno, recorded: -ENOTSUP, -ENOSPC, -EPERM, -ENOMEM, -EAGAIN.
 */
int smem_key_take(unsigned *key);

/* No page has the key any more, and no thread rights to it. 0 does nothing. */
void smem_key_give(unsigned key);

/* The bits of every key that the library has; 0: it has none. */
uint32_t smem_keys_all(void);

/* What the rights allow with a key; and what the calling thread's are, if there are any. */
enum smem_kernel_access smem_rights_access(uint32_t rights, unsigned key);
uint32_t smem_rights_now(void);

/* Gives the calling thread that access with the key, and no other. */
void smem_rights_set(unsigned key, enum smem_kernel_access access);

/*
 * Gives the calling thread all rights to the keys of these bits; and those back that it
 * had, as the first gave them. Bits of 0 do nothing. Nests. Async-signal-safe: a handler
 * begins without rights, and sigreturn(2) restores those of what it interrupted.
 */
uint32_t smem_rights_open(uint32_t bits);
void smem_rights_restore(uint32_t bits, uint32_t before);

#endif
