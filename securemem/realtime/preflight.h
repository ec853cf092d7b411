/* SPDX-License-Identifier: ISC */
/* What a preflight works on, and how its checks say what they found. */
#ifndef SMEM_RT_PREFLIGHT_H
#define SMEM_RT_PREFLIGHT_H

#include <securemem/realtime.h>
#include <stdint.h>

struct smem_preflight {
    const securemem_rt_plan *plan;
    securemem_rt_preflight_report *report;
    size_t mapped;   /* VmSize */
    size_t resident; /* VmRSS */
    size_t locked;   /* VmLck */
    uintptr_t here;  /* as far as the calling thread's stack is in use */
};

/* securemem_rt_preflight, for a caller whose stack is in use so far. */
int smem_preflight(const securemem_rt_plan *plan, uintptr_t here,
                   securemem_rt_preflight_report *report);

/* Adds a result whose sentence is that format; what is too long is cut. */
__attribute__((format(printf, 4, 5))) void
smem_preflight_say(struct smem_preflight *preflight, securemem_rt_check check,
                   securemem_rt_severity severity, const char *format, ...);

/* The figures of the result that was added last. */
void smem_preflight_figures(struct smem_preflight *preflight, size_t needed, size_t limit,
                            size_t in_use);

/* The settings of the machine that cost latency; none of them refuses. */
void smem_preflight_settings(struct smem_preflight *preflight);

#endif
