/* SPDX-License-Identifier: ISC */
#include "scratch/deepest.h"

#if defined(__x86_64__)

#define ALL_ZERO_SSE 0xffffU
#define ALL_ZERO_AVX 0xffffffffU

/* Comparisons with memory: what they leave tells which bytes are zero, nothing else. */
static unsigned zeros_sse(const char *at)
{
    unsigned mask;
    __asm__ volatile("pxor %%xmm0, %%xmm0\n\t"
                     "pxor %%xmm1, %%xmm1\n\t"
                     "pxor %%xmm2, %%xmm2\n\t"
                     "pxor %%xmm3, %%xmm3\n\t"
                     "pxor %%xmm4, %%xmm4\n\t"
                     "pxor %%xmm5, %%xmm5\n\t"
                     "pxor %%xmm6, %%xmm6\n\t"
                     "pxor %%xmm7, %%xmm7\n\t"
                     "pcmpeqb (%1), %%xmm0\n\t"
                     "pcmpeqb 16(%1), %%xmm1\n\t"
                     "pcmpeqb 32(%1), %%xmm2\n\t"
                     "pcmpeqb 48(%1), %%xmm3\n\t"
                     "pcmpeqb 64(%1), %%xmm4\n\t"
                     "pcmpeqb 80(%1), %%xmm5\n\t"
                     "pcmpeqb 96(%1), %%xmm6\n\t"
                     "pcmpeqb 112(%1), %%xmm7\n\t"
                     "pand %%xmm1, %%xmm0\n\t"
                     "pand %%xmm3, %%xmm2\n\t"
                     "pand %%xmm5, %%xmm4\n\t"
                     "pand %%xmm7, %%xmm6\n\t"
                     "pand %%xmm2, %%xmm0\n\t"
                     "pand %%xmm6, %%xmm4\n\t"
                     "pand %%xmm4, %%xmm0\n\t"
                     "pmovmskb %%xmm0, %0"
                     : "=r"(mask)
                     : "r"(at)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7");
    return mask;
}

static unsigned zeros_avx(const char *at)
{
    unsigned mask;
    __asm__ volatile("vpxor %%ymm0, %%ymm0, %%ymm0\n\t"
                     "vpcmpeqb (%1), %%ymm0, %%ymm1\n\t"
                     "vpcmpeqb 32(%1), %%ymm0, %%ymm2\n\t"
                     "vpcmpeqb 64(%1), %%ymm0, %%ymm3\n\t"
                     "vpcmpeqb 96(%1), %%ymm0, %%ymm4\n\t"
                     "vpand %%ymm1, %%ymm2, %%ymm1\n\t"
                     "vpand %%ymm3, %%ymm4, %%ymm3\n\t"
                     "vpand %%ymm1, %%ymm3, %%ymm1\n\t"
                     "vpmovmskb %%ymm1, %0"
                     : "=r"(mask)
                     : "r"(at)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4");
    return mask;
}

char *smem_scratch_deepest(char *low, char *end)
{
    char *at = low;
    if (__builtin_cpu_supports("avx2")) {
        while (at < end && zeros_avx(at) == ALL_ZERO_AVX)
            at += SMEM_DEEPEST_STRIDE;
        __asm__ volatile("vzeroupper" : : : "memory");
    } else {
        while (at < end && zeros_sse(at) == ALL_ZERO_SSE)
            at += SMEM_DEEPEST_STRIDE;
    }
    return at;
}

#else

char *smem_scratch_deepest(char *low, char *end)
{
    (void)end;
    return low;
}

#endif
