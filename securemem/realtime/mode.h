/* SPDX-License-Identifier: ISC */
/*
 * The mode of the process: what enter changed, for leave to undo. All of it is guarded by
 * smem_mode_lock, and of the process that entered: a forked child begins anew.
 */
#ifndef SMEM_RT_MODE_H
#define SMEM_RT_MODE_H

#include <securemem/realtime.h>

#include "realtime/keep.h"

/* A flag of the process, and what it was. */
struct smem_mode_flag {
    bool changed, before;
};

/* Ranges that were locked or kept from children, beside mlockall. */
struct smem_mode_range {
    uintptr_t start, end;
    bool locked, held, kept_from_children; /* held: region/ranges.h */
};

#define SMEM_MODE_RANGES 256U

struct smem_mode {
    size_t entered;
    securemem_rt_mode mode;
    bool locked_all;    /* by mlockall, here */
    bool future_before; /* MCL_FUTURE was on already: all stays locked */
    bool malloc_tuned, window;
    struct smem_mode_flag no_huge_pages, merge;
    bool limit_raised;
    size_t limit_before;
    struct smem_keeping keeping;
    size_t range_count;
    struct smem_mode_range ranges[SMEM_MODE_RANGES];
};

/* The mode, locked; all zero where this process has not entered. */
struct smem_mode *smem_mode_take(void);
void smem_mode_give(void);

/* As entered, for readers without the lock. */
void smem_mode_publish(const struct smem_mode *mode);

/* Fork handlers that count. 0 or a negative errno, recorded. */
int smem_mode_watch_forks(void);

/*
 * Undoes what enter did: in reverse order, from the locks on. The first refusal, recorded;
 * what is refused is still noted in the mode, for another try.
 */
int smem_mode_unlock(struct smem_mode *mode);
void smem_mode_release_ranges(struct smem_mode *mode, size_t from);
void smem_mode_restore_flags(struct smem_mode *mode);
void smem_mode_restore_limit(struct smem_mode *mode);

#endif
