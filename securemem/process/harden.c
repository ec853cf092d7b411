/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <securemem/process.h>

#include "kernel/harden.h"
#include "kernel/process.h"
#include "region/error.h"

static int is_not_dumpable(void)
{
    return smem_kernel_has_renounced(SMEM_NOT_DUMPABLE);
}

static int make_not_dumpable(void)
{
    return smem_kernel_renounce(SMEM_NOT_DUMPABLE);
}

static int has_no_new_privs(void)
{
    return smem_kernel_has_renounced(SMEM_NO_NEW_PRIVS);
}

static int set_no_new_privs(void)
{
    return smem_kernel_renounce(SMEM_NO_NEW_PRIVS);
}

static int has_no_new_code(void)
{
    return smem_kernel_has_renounced(SMEM_NO_NEW_CODE);
}

static int set_no_new_code(void)
{
    return smem_kernel_renounce(SMEM_NO_NEW_CODE);
}

static int is_not_merged(void)
{
    int merged = smem_kernel_get_flag(SMEM_FLAG_MERGE);
    return merged < 0 ? merged : merged == 0;
}

static int set_not_merged(void)
{
    return smem_kernel_set_flag(SMEM_FLAG_MERGE, false);
}

/* holds: 1, 0 or a negative errno. */
static const struct measure {
    securemem_harden_flags flag;
    int (*holds)(void);
    int (*take)(void);
    securemem_harden_outcome absent; /* what it is where the kernel does not know it */
    const char *operation;
    const char *held, *lacking, *refused;
} measures[] = {
    {SECUREMEM_HARDEN_NO_CORE_DUMPS, smem_kernel_has_no_core, smem_kernel_set_no_core,
     SECUREMEM_HARDEN_MISSING, "setrlimit(RLIMIT_CORE)",
     "RLIMIT_CORE is 0: no core is written to a file",
     "this kernel has no RLIMIT_CORE, or a sandbox hides it",
     "RLIMIT_CORE is not 0: a sandbox forbids setrlimit; allow it, or start the program with "
     "LimitCORE=0 (ulimit -c 0)"},
    {SECUREMEM_HARDEN_NOT_DUMPABLE, is_not_dumpable, make_not_dumpable,
     SECUREMEM_HARDEN_MISSING, "prctl(PR_SET_DUMPABLE)",
     "the process is not dumpable: no core, no ptrace by the same user",
     "this kernel has no PR_SET_DUMPABLE, or a sandbox hides it",
     "the process is dumpable: a sandbox forbids prctl; allow it"},
    {SECUREMEM_HARDEN_NO_NEW_PRIVS, has_no_new_privs, set_no_new_privs,
     SECUREMEM_HARDEN_MISSING, "prctl(PR_SET_NO_NEW_PRIVS)",
     "this thread, and those that it starts, get no privileges by execve",
     "this kernel has no PR_SET_NO_NEW_PRIVS (Linux 3.5), or a sandbox hides it",
     "the thread can get privileges by execve: a sandbox forbids prctl; allow it, or start "
     "the program with NoNewPrivileges=yes"},
    {SECUREMEM_HARDEN_NO_NEW_CODE, has_no_new_code, set_no_new_code,
     SECUREMEM_HARDEN_MISSING, "prctl(PR_SET_MDWE)",
     "no memory of the process becomes executable",
     "this kernel has no PR_SET_MDWE (Linux 6.3), or a sandbox hides it: start the program "
     "with MemoryDenyWriteExecute=yes, which is a filter of systemd's",
     "memory can become executable: a sandbox forbids prctl; allow it"},
    {SECUREMEM_HARDEN_NOT_MERGED, is_not_merged, set_not_merged,
     SECUREMEM_HARDEN_NEEDLESS, "prctl(PR_SET_MEMORY_MERGE)",
     "KSM merges none of its pages but those that it marks itself",
     "this kernel does not merge whole processes (Linux 6.4, KSM)",
     "KSM may merge pages of the process: a sandbox forbids prctl; allow it"},
};

#define MEASURES (sizeof measures / sizeof *measures)

_Static_assert(MEASURES <= SECUREMEM_HARDEN_RESULTS, "each has room in a report");
_Static_assert(SECUREMEM_HARDEN_ALL == (1 << MEASURES) - 1, "each has a flag");

/* What a kernel that does not know it answers when asked; not a sandbox's EPERM. */
static bool is_unknown(int code)
{
    return code == -EINVAL || code == -ENOSYS || code == -EOPNOTSUPP;
}

/* What the kernel says afterwards decides, not what the call gave. */
static void take(const struct measure *measure, securemem_harden_result *out)
{
    *out = (securemem_harden_result){.flag = measure->flag,
                                     .outcome = SECUREMEM_HARDEN_ALREADY,
                                     .sentence = measure->held};
    int holds = measure->holds();
    if (holds == 1)
        return;
    if (is_unknown(holds)) {
        out->outcome = measure->absent;
        out->code = -holds;
        out->sentence = measure->lacking;
        return;
    }
    int result = holds < 0 ? holds : measure->take();
    if (holds == 0)
        holds = measure->holds();
    if (holds == 1) {
        out->outcome = SECUREMEM_HARDEN_GRANTED;
        return;
    }
    out->outcome = SECUREMEM_HARDEN_REFUSED;
    out->code = -(result < 0 ? result : holds);
    out->sentence = measure->refused;
}

static int tell(const struct measure *measure, const securemem_harden_result *result)
{
    switch (result->outcome) {
    case SECUREMEM_HARDEN_MISSING:
        return smem_error_own(measure->operation, ENOTSUP, result->sentence);
    case SECUREMEM_HARDEN_REFUSED:
        return smem_error_own(measure->operation,
                              result->code == EPERM || result->code == EACCES ? EPERM
                                                                              : EAGAIN,
                              result->sentence);
    case SECUREMEM_HARDEN_GRANTED:
    case SECUREMEM_HARDEN_ALREADY:
    case SECUREMEM_HARDEN_NEEDLESS:
        break;
    }
    return 0;
}

int securemem_process_harden(unsigned flags, securemem_process_report *report)
{
    if ((flags & ~(unsigned)SECUREMEM_HARDEN_ALL) != 0)
        return smem_error_argument("securemem_process_harden", "a flag is not known");
    securemem_process_report all = {0};
    int first = 0;
    for (size_t i = 0; i < MEASURES; i++) {
        if ((flags & (unsigned)measures[i].flag) == 0)
            continue;
        securemem_harden_result *result = &all.results[all.count++];
        take(&measures[i], result);
        if (first == 0)
            first = tell(&measures[i], result);
    }
    if (report != NULL)
        *report = all;
    return first;
}
