/* SPDX-License-Identifier: ISC */
#include "kernel/harden.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "kernel/answer.h"

/* Linux's own numbers, for C libraries that are older than the kernel they run on. */
#define PRCTL_SET_MDWE        65
#define PRCTL_GET_MDWE        66
#define MDWE_REFUSE_EXEC_GAIN 1UL

int smem_kernel_has_no_core(void)
{
    struct rlimit limit;
    int before = errno;
    int result = (int)smem_answer(before, getrlimit(RLIMIT_CORE, &limit));
    return result != 0 ? result : limit.rlim_cur == 0 && limit.rlim_max == 0;
}

int smem_kernel_set_no_core(void)
{
    static const struct rlimit none = {0, 0};
    int before = errno;
    return (int)smem_answer(before, setrlimit(RLIMIT_CORE, &none));
}

int smem_kernel_has_renounced(enum smem_kernel_renounced what)
{
    static const int options[] = {[SMEM_NOT_DUMPABLE] = PR_GET_DUMPABLE,
                                  [SMEM_NO_NEW_PRIVS] = PR_GET_NO_NEW_PRIVS,
                                  [SMEM_NO_NEW_CODE] = PRCTL_GET_MDWE};
    int before = errno;
    int result = (int)smem_answer(before, prctl(options[what], 0UL, 0UL, 0UL, 0UL));
    if (result < 0)
        return result;
    switch (what) {
    case SMEM_NOT_DUMPABLE:
        return result == 0; /* 2 (fs.suid_dumpable) still dumps, for root */
    case SMEM_NO_NEW_CODE:
        return ((unsigned long)result & MDWE_REFUSE_EXEC_GAIN) != 0;
    case SMEM_NO_NEW_PRIVS:
        break;
    }
    return result == 1;
}

int smem_kernel_renounce(enum smem_kernel_renounced what)
{
    static const struct {
        int option;
        unsigned long value;
    } calls[] = {[SMEM_NOT_DUMPABLE] = {PR_SET_DUMPABLE, 0UL},
                 [SMEM_NO_NEW_PRIVS] = {PR_SET_NO_NEW_PRIVS, 1UL},
                 [SMEM_NO_NEW_CODE] = {PRCTL_SET_MDWE, MDWE_REFUSE_EXEC_GAIN}};
    int before = errno;
    return (int)smem_answer(before,
                            prctl(calls[what].option, calls[what].value, 0UL, 0UL, 0UL));
}
