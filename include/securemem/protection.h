/* SPDX-License-Identifier: ISC */
/* The truth: what the kernel says of one secret, and what is left of the limits. */
#ifndef SECUREMEM_PROTECTION_H
#define SECUREMEM_PROTECTION_H

#include <securemem/access.h>
#include <securemem/arena.h>
#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One protection of one secret. */
typedef struct securemem_protection_state {
    securemem_policy asked;
    int holds;   /* 1: yes, by the witness below; 0: no */
    int refused; /* the errno with which it was refused, of the set in securemem/error.h;
                    0: it was not */
} securemem_protection_state;

/* Who says what holds. */
typedef enum securemem_witness {
    SECUREMEM_WITNESS_SMAPS = 0, /* /proc/self/smaps, read now; guards by a probe now */
    SECUREMEM_WITNESS_CALLS = 1  /* smaps cannot be read: what the kernel accepted; lock
                                    and guards by a probe now */
} securemem_witness;

/* What became of the secret when this process was forked. */
typedef enum securemem_inheritance {
    SECUREMEM_NATIVE = 0,  /* allocated in this process */
    SECUREMEM_WIPED = 1,   /* inherited as zeros (FORK_WIPE) */
    SECUREMEM_DROPPED = 2, /* not mapped here (FORK_DROP) */
    SECUREMEM_KEPT = 3, /* inherited with its contents: FORK_KEEP, or fork_safety OFF */
    SECUREMEM_KEPT_WIPED = 4 /* FORK_KEEP, but the lock was refused here: zeros */
} securemem_inheritance;

typedef struct securemem_protection {
    securemem_witness witness;
    securemem_protection_state lock;        /* smaps: lo */
    securemem_protection_state guards;      /* a read on either side is EFAULT */
    securemem_protection_state no_dump;     /* smaps: dd */
    securemem_protection_state fork_safety; /* smaps: wf for WIPE, dc for DROP; KEEP: the
                                               fork handlers are registered */
    securemem_protection_state no_merge;    /* smaps: no mg */
    securemem_protection_state secret_memory;  /* smaps: of memfd_secret(2); the machine
                                                 cannot hibernate as long as it lives */
    securemem_protection_state protection_key; /* smaps: ProtectionKey is key */
    unsigned key;            /* the protection key of its pages; 0: none */
    securemem_access access; /* what the pages and the key allow this thread now */
    securemem_access resting_access;
    uint32_t open_scopes; /* on the secret; of this thread on an arena with a key */
    securemem_fork fork;
    securemem_inheritance inheritance;
    securemem_guard_kind guard_kind;
    securemem_placement placement;
    size_t size; /* bytes asked for */
    size_t alignment;
    size_t pages_size; /* bytes of the pages that hold it and nothing else */
    uint64_t reserved[4];
} securemem_protection;

/*
 * int securemem_protection(const void *secret, securemem_protection *out)
 *
 * Fills *out with what holds for the secret's pages at this moment. Reads
 * /proc/self/smaps (one pass: about a microsecond for each mapping below the secret, more
 * where those are large), so ask once and not in a loop. 0, -EINVAL (not a secret, out is
 * NULL).
 *
 * C has one name space for types and functions, so the function has a name of its own in
 * the language; the macro and the symbol give it the one it is known by. Its address is
 * that of securemem_protection_of.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_protection_of(const void *secret,
                        securemem_protection *out) __asm__("securemem_protection");
#define securemem_protection(secret, out) securemem_protection_of(secret, out)

typedef struct securemem_budget_report {
    size_t lock_limit;      /* RLIMIT_MEMLOCK soft, bytes; SIZE_MAX: no limit */
    size_t lock_hard_limit; /* what setrlimit(2) could raise it to */
    int lock_unlimited;     /* 1: CAP_IPC_LOCK holds here, the limit does not count */
    size_t charged;         /* bytes charged to the limit for arenas and scratch stacks */
    size_t charged_process; /* and by the whole process (VmLck) */
    size_t available;       /* bytes that still fit; SIZE_MAX: no limit */
    size_t mappings;        /* of the whole process */
    size_t mapping_limit;   /* vm.max_map_count; SIZE_MAX: not readable */
    size_t secrets;         /* live ones, in all arenas; the library's own keys and
                               scratch stacks, and what was not inherited here, included */
    uint64_t reserved[8];
} securemem_budget_report;

/*
 * What the limits are and what is left of them, as the kernel says now.
 * 0, -EINVAL (out is NULL), -EPERM (/proc cannot be read), -EAGAIN (no descriptor or memory
 * is left for that).
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_budget(securemem_budget_report *out);

#ifdef __cplusplus
}
#endif
#endif
