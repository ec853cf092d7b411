/* SPDX-License-Identifier: ISC */
#include "kernel/keys.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/answer.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define LEAF_FEATURES 7
#define ECX_OSPKE     (1U << 4) /* the kernel has turned protection keys on */
#define NO_ACCESS     1UL       /* PKEY_DISABLE_ACCESS */

static int has_keys(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(LEAF_FEATURES, 0, &a, &b, &c, &d) && (c & ECX_OSPKE) != 0;
}

int smem_kernel_key_alloc(void)
{
    int before = errno;
    if (!has_keys())
        return -EOPNOTSUPP;
    return (int)smem_answer(before, syscall(SYS_pkey_alloc, 0UL, NO_ACCESS));
}

int smem_kernel_key_free(unsigned key)
{
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_pkey_free, key));
}

int smem_kernel_key_protect(void *start, size_t length, enum smem_kernel_access access,
                            unsigned key)
{
    static const unsigned long protections[] = {PROT_NONE, PROT_READ,
                                                PROT_READ | PROT_WRITE};
    int before = errno;
    return (int)smem_answer(
        before, syscall(SYS_pkey_mprotect, start, length, protections[access], key));
}

/* As bytes: an assembler from before 2015 does not know the names. */
uint32_t smem_kernel_rights(void)
{
    uint32_t rights, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xee" /* rdpkru */
                     : "=a"(rights), "=d"(high)
                     : "c"(0));
    return rights;
}

/* What is read or written in the source before it, or after it, stays there. */
void smem_kernel_set_rights(uint32_t rights)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" /* wrpkru */
                     :
                     : "a"(rights), "c"(0), "d"(0)
                     : "memory");
}

#else

/* No key is ever handed out, so that nothing else is asked for. */
int smem_kernel_key_alloc(void)
{
    return -EOPNOTSUPP;
}

int smem_kernel_key_free(unsigned key)
{
    (void)key;
    return -EOPNOTSUPP;
}

int smem_kernel_key_protect(void *start, size_t length, enum smem_kernel_access access,
                            unsigned key)
{
    (void)start;
    (void)length;
    (void)access;
    (void)key;
    return -EOPNOTSUPP;
}

uint32_t smem_kernel_rights(void)
{
    return 0;
}

void smem_kernel_set_rights(uint32_t rights)
{
    (void)rights;
}
#endif
