/* SPDX-License-Identifier: ISC */
/*
 * The seam of protection keys, wrapped as in wrap.c. Where the processor has none they are
 * pretended: a key is a number, the rights of a thread a variable, and pages of a key stay
 * as they are. What the library asks of them, and gives back, is then seen nevertheless;
 * what keys do is for tests that have some.
 */
#include "faults/wrap_keys.h"

#include <errno.h>
#include <stdatomic.h>

#include "faults/wrap.h"
#include "kernel/keys.h"

#define NO_RIGHTS 0x55555554U /* as a thread begins */

static _Atomic uint32_t taken = 1; /* bit 0: the key of all other memory */
static _Thread_local uint32_t rights = NO_RIGHTS;
static atomic_bool none;

void keys_use_none(bool use_none)
{
    atomic_store(&none, use_none);
}

unsigned keys_taken(void)
{
    return (unsigned)__builtin_popcount(atomic_load(&taken)) - 1;
}

bool keys_rights_are_none(void)
{
    return smem_kernel_rights() == NO_RIGHTS;
}

int __wrap_smem_kernel_key_alloc(void);
int __wrap_smem_kernel_key_alloc(void)
{
    int result;
    if (fault_fails(FAULT_KEY_ALLOC, &result))
        return result;
    if (atomic_load(&none))
        return -EOPNOTSUPP;
    for (unsigned key = 1; key < SMEM_KERNEL_KEYS; key++) {
        uint32_t bit = (uint32_t)1 << key;
        if ((atomic_fetch_or(&taken, bit) & bit) == 0) {
            rights |= NO_RIGHTS & (uint32_t)3 << (2 * key);
            return (int)key;
        }
    }
    return -ENOSPC;
}

int __wrap_smem_kernel_key_free(unsigned key);
int __wrap_smem_kernel_key_free(unsigned key)
{
    int result;
    if (fault_fails(FAULT_KEY_FREE, &result))
        return result;
    uint32_t bit = (uint32_t)1 << key;
    return (atomic_fetch_and(&taken, ~bit) & bit) != 0 ? 0 : -EINVAL;
}

int __wrap_smem_kernel_key_protect(void *start, size_t length,
                                   enum smem_kernel_access access, unsigned key);
int __wrap_smem_kernel_key_protect(void *start, size_t length,
                                   enum smem_kernel_access access, unsigned key)
{
    (void)start;
    (void)length;
    (void)access;
    int result;
    if (fault_fails(FAULT_KEY_PROTECT, &result))
        return result;
    return (atomic_load(&taken) >> key & 1) != 0 ? 0 : -EINVAL;
}

uint32_t __wrap_smem_kernel_rights(void);
uint32_t __wrap_smem_kernel_rights(void)
{
    return rights;
}

void __wrap_smem_kernel_set_rights(uint32_t wanted);
void __wrap_smem_kernel_set_rights(uint32_t wanted)
{
    rights = wanted;
}
