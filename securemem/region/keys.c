/* SPDX-License-Identifier: ISC */
#include "region/keys.h"

#include <errno.h>
#include <stdatomic.h>

#include "region/error.h"

#define NO_ACCESS  1U
#define NO_WRITING 2U

static _Atomic uint32_t all;

uint32_t smem_keys_all(void)
{
    return atomic_load_explicit(&all, memory_order_acquire);
}

static uint32_t bits_for(enum smem_kernel_access access)
{
    switch (access) {
    case SMEM_ACCESS_WRITE:
        return 0;
    case SMEM_ACCESS_READ:
        return NO_WRITING;
    case SMEM_ACCESS_NONE:
        break;
    }
    return NO_ACCESS;
}

enum smem_kernel_access smem_rights_access(uint32_t rights, unsigned key)
{
    uint32_t bits = key == 0 ? 0 : rights >> (2 * key);
    if ((bits & NO_ACCESS) != 0)
        return SMEM_ACCESS_NONE;
    return (bits & NO_WRITING) != 0 ? SMEM_ACCESS_READ : SMEM_ACCESS_WRITE;
}

uint32_t smem_rights_now(void)
{
    return smem_keys_all() == 0 ? 0 : smem_kernel_rights();
}

void smem_rights_set(unsigned key, enum smem_kernel_access access)
{
    uint32_t others = smem_kernel_rights() & ~smem_key_bits(key);
    smem_kernel_set_rights(others | bits_for(access) << (2 * key));
}

uint32_t smem_rights_open(uint32_t bits)
{
    if (bits == 0)
        return 0;
    uint32_t before = smem_kernel_rights();
    smem_kernel_set_rights(before & ~bits);
    return before;
}

void smem_rights_restore(uint32_t bits, uint32_t before)
{
    if (bits != 0)
        smem_kernel_set_rights((smem_kernel_rights() & ~bits) | (before & bits));
}

/* An emulator may take the calls and enforce nothing: a page of the key is tried. */
static int see_it_work(void *page, size_t length, unsigned key)
{
    int result = smem_kernel_key_protect(page, length, SMEM_ACCESS_WRITE, key);
    if (result != 0)
        return smem_error_kernel("pkey_mprotect", result, length);
    if (smem_kernel_is_readable(page) == 0)
        return 0;
    return smem_error_own("pkey_mprotect", ENOTSUP,
                          "the call succeeds, but the page can be read: a sandbox or an "
                          "emulator pretends to it");
}

static int try_key(unsigned key)
{
    void *page;
    size_t length = smem_kernel_page_size();
    int result = smem_kernel_reserve(length, &page);
    if (result != 0)
        return smem_error_kernel("mmap", result, length);
    result = see_it_work(page, length, key);
    int unmapped = smem_kernel_unmap(page, length);
    if (result == 0 && unmapped != 0) /* a page of the key, which no arena would end */
        result = smem_error_kernel("munmap", unmapped, length);
    return result;
}

static int refuse(int result)
{
    static const char operation[] = "pkey_alloc";
    if (result == -EOPNOTSUPP)
        return smem_error_own(
            operation, ENOTSUP,
            "the processor has no protection keys, or the kernel does not use them; make "
            ".protection_key preferred, which falls back to mprotect(2)");
    if (result == -ENOSPC)
        return smem_error_limit(
            operation, ENOSPC, 1, SMEM_KERNEL_KEYS - 1, SMEM_KERNEL_KEYS - 1,
            "all protection keys of the process are in use; destroy an arena that has "
            "one, or make .protection_key preferred, which falls back to mprotect(2)");
    return smem_error_kernel(operation, result, 0);
}

int smem_key_take(unsigned *key)
{
    int number = smem_kernel_key_alloc();
    if (number < 0)
        return refuse(number);
    int result = try_key((unsigned)number);
    if (result != 0) {
        (void)smem_kernel_key_free((unsigned)number); /* refused, it is not used again */
        return result;
    }
    *key = (unsigned)number;
    atomic_fetch_or(&all, smem_key_bits(*key));
    return 0;
}

void smem_key_give(unsigned key)
{
    if (key == 0)
        return;
    atomic_fetch_and(&all, ~smem_key_bits(key));
    (void)smem_kernel_key_free(key); /* refused, it is not used again */
}
