/* SPDX-License-Identifier: ISC */
/*
 * Arenas: where secrets live. Policy, budget and placement are given when an arena is
 * made; destroying it wipes and releases all that is in it. The short calls of secret.h
 * use a default arena, made on first use with zero-filled options.
 *
 *      arena ---> region  | guard | slot | guard | slot | guard | ... reserved ... |
 *            ---> region  | guard | slot slot slot ...
 *
 * A region is one reservation of addresses whose slots, all of one size, are made
 * accessible and locked as they are needed. Regions of an arena grow geometrically.
 */
#ifndef SECUREMEM_ARENA_H
#define SECUREMEM_ARENA_H

#include <securemem/access.h>
#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct securemem_arena securemem_arena;

/*
 * How secrets lie.
 *
 * GUARDED  Each alone on its pages between two guards.
 * PACKED   Many to a page, in runs of pages with a guard at both ends, for those below 2
 *          KiB; larger ones, and those aligned to more than that, are guarded. Behind each
 *          is a canary of 8 bytes or more, compared when it is freed. A packed secret of
 *          32 bytes takes 48 bytes of the lock limit, without canaries 32.
 */
typedef enum securemem_placement {
    SECUREMEM_GUARDED = 0,
    SECUREMEM_PACKED = 1
} securemem_placement;

/* What happens where a protection cannot be had. */
typedef enum securemem_policy {
    SECUREMEM_DEFAULT = 0,   /* REQUIRED; OFF for .secret_memory and .protection_key */
    SECUREMEM_REQUIRED = 1,  /* the secret is not handed out */
    SECUREMEM_PREFERRED = 2, /* it is handed out, and securemem_protection says why not;
                                it is not tried again for that secret */
    SECUREMEM_OFF = 3        /* not tried */
} securemem_policy;

/*
 * What a forked child has of the arena's secrets.
 *
 * WIPE  The child's secrets are zeros (MADV_WIPEONFORK, Linux 4.14), guarded and locked
 *       anew before fork(2) returns; where the limit refuses the lock, the child's
 *       securemem_protection says so. Canaries are zeros as well: an overwrite by zeros
 *       alone goes unseen there in secrets that are older than the child.
 * DROP  The child has no mapping there (MADV_DONTFORK, Linux 2.6.16): an access faults.
 *       The pointers may still be freed there, and their arena destroyed.
 * KEEP  The child has the secrets, for pre-forking servers. Each is locked in the child
 *       before fork(2) returns; where the lock is refused it is wiped there, and
 *       securemem_protection says both.
 *
 * Putting guards and locks back delays the child, not the parent, by 1 microsecond a
 * secret with guards of the kind REGION and 5 with PROT_NONE.
 *
 * posix_spawn(3) and vfork(2) give the child no memory of its own, so there is nothing to
 * protect: a vfork child must only exec, as its man page says. A raw clone(2) without
 * CLONE_VM runs no fork handlers: WIPE and DROP still hold, for the kernel does them, but
 * locks are not inherited and guards of the kind REGION are lost with WIPE, until the
 * child's first call of this library puts both back; with KEEP the child's copy is
 * unlocked until then. That first call may deadlock if another thread of the parent was
 * inside the library at the moment of the clone.
 */
typedef enum securemem_fork {
    SECUREMEM_FORK_WIPE = 0,
    SECUREMEM_FORK_DROP = 1,
    SECUREMEM_FORK_KEEP = 2
} securemem_fork;

/*
 * What a guard page is made of.
 *
 * PROT_NONE  A mapping without access: any kernel. Not charged to RLIMIT_MEMLOCK, but two
 *            mappings a secret, and vm.max_map_count allows 65,530 by default.
 * REGION     MADV_GUARD_INSTALL (Linux 6.13): no mapping, but one page a secret, and one
 *            a region, is charged; and slots are locked in batches, so that up to 64 are
 *            charged ahead.
 * AUTO       REGION where this kernel has it and lock limit and budget are large enough
 *            that mappings would run out first, else PROT_NONE.
 */
typedef enum securemem_guard_kind {
    SECUREMEM_GUARDS_AUTO = 0,
    SECUREMEM_GUARDS_PROT_NONE = 1,
    SECUREMEM_GUARDS_REGION = 2
} securemem_guard_kind;

/*
 * Zero-filled: the strongest protections, no cap but the system's, nothing kept idle.
 *
 * on_low runs in the thread that allocates, with no lock held, and may use the library;
 * what else takes of the lock limit is seen at the arena's next allocation that a thread's
 * cache does not serve. Idle memory of one arena is not given up for another: see
 * securemem_arena_trim.
 *
 * .secret_memory: whether pages come from memfd_secret(2) (Linux 5.14): out of the
 * kernel's own map of memory, so that not even root reads them by /proc/PID/mem,
 * process_vm_readv(2), ptrace(2) or a core, and gone with the process when it is killed.
 *
 * While such memory exists the machine cannot hibernate, so it is off unless asked for. It
 * is off by default in kernels before 6.5 (secretmem.enable=1). It is shared memory: a
 * child could neither have it wiped nor as its own, so that .fork has to be
 * SECUREMEM_FORK_DROP; and it takes no guard regions. Its first use costs ten times that
 * of ordinary memory, and later ones the same: keep it idle (.idle).
 *
 * PREFERRED falls back to ordinary memory where the kernel has it not (ENOSYS), a sandbox
 * forbids it (EPERM), or there is no descriptor or lock limit for a first page.
 *
 * .protection_key: whether the arena is closed to every thread that has not opened it by
 * securemem_arena_open: all of its pages have one protection key (pkeys(7), Linux 4.9, a
 * processor with PKU), and each thread its own rights to that. A stray read by another
 * thread, or outside of a scope, faults (SIGSEGV, SEGV_PKUERR). securemem_free,
 * securemem_realloc and other calls of this library work on closed secrets; reading or
 * writing one faults, and is EFAULT in system calls of that thread.
 *
 * A process has 15 keys. REQUIRED is refused by securemem_arena_create where all are in
 * use (ENOSPC), or the processor has none (ENOTSUP). PREFERRED then falls back to
 * mprotect(2) of every page: the same calls, but the rights are the whole process's, a
 * scope costs microseconds for each stretch of pages, and so does each allocation and free
 * in a closed arena.
 *
 * What keys do not stop: code that runs in the process may change its rights; ptrace(2),
 * /proc/PID/mem and io_uring(7) ignore them. More at securemem_arena_open.
 */
typedef struct securemem_arena_options {
    securemem_placement placement;
    securemem_policy lock;        /* mlock(2): never swapped */
    securemem_policy guards;      /* a guard page on both sides */
    securemem_policy no_dump;     /* MADV_DONTDUMP, Linux 3.4: not in core dumps */
    securemem_policy fork_safety; /* what .fork says; OFF: ordinary memory in a child */
    securemem_policy no_merge;    /* MADV_UNMERGEABLE: never shared by KSM; a kernel
                                     without KSM grants it */
    securemem_fork fork;
    securemem_guard_kind guard_kind;
    size_t budget;             /* bytes of pages and charged guards at most: less than a
                                  page allows no secret; 0: no cap */
    securemem_policy canaries; /* packed secrets: 8 bytes or more behind each; PREFERRED
                                  is REQUIRED, guarded ones always have theirs */
    size_t idle; /* bytes of freed, wiped, still locked pages to keep for reuse; 0: the
                    pages of a guarded secret are unlocked and unmapped with its free;
                    SIZE_MAX: keep all. Of packed ones each thread keeps up to 63 of a
                    size class for itself, with their pages, whatever this says */
    size_t low;  /* bytes, 0: never. on_low is called once when no more than these remain
                             after an allocation of the arena; again once more remained
                             meanwhile, after a free too; and whenever one is then refused,
                             but for those that on_low itself makes. It has to return */
    void (*on_low)(securemem_arena *arena, size_t remaining, void *user); /* with .low */
    void *user;                                                           /* for on_low */
    securemem_policy secret_memory;  /* off by default */
    securemem_policy protection_key; /* off by default */
    uint64_t reserved[5];            /* must be 0 */
} securemem_arena_options;

/*
 * A new arena; options NULL are zero-filled ones. The options are copied. It is empty and
 * charges nothing to the lock limit yet. Destroy it with securemem_arena_destroy.
 * Whether the kernel grants the protections is seen at the first allocation, but for
 * .protection_key, which is taken now. An arena a connection is a normal use: a packed one
 * with a page of secrets costs 13 system calls from here to its end, and 24 KiB of
 * bookkeeping at most stay for the next, of 16 arenas. Each takes a page of the lock limit
 * for every size class in use, and six mappings (vm.max_map_count).
 * NULL: EINVAL (an option out of range), ENOMEM, EPERM, EAGAIN; with .protection_key
 * required also ENOTSUP and ENOSPC.
 */
SECUREMEM_API SECUREMEM_USE_RESULT securemem_arena *
securemem_arena_create(const securemem_arena_options *options);

/* The arena behind securemem_alloc; not to be destroyed. NULL: as for a new arena. */
SECUREMEM_API securemem_arena *securemem_default_arena(void);

/* As securemem_alloc and securemem_alloc_aligned, in this arena. NULL: EINVAL as well. */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_arena_alloc(securemem_arena *arena,
                                                               size_t size);
SECUREMEM_API SECUREMEM_USE_RESULT void *
securemem_arena_alloc_aligned(securemem_arena *arena, size_t size, size_t alignment);

/*
 * As securemem_free, for a caller that knows where the secret came from: a secret of
 * another arena is misuse (SECUREMEM_MISUSE_WRONG_ARENA).
 */
SECUREMEM_API void securemem_arena_free(securemem_arena *arena, void *secret);

/*
 * Gives all idle memory of the arena back to the kernel and to the lock limit. With guards
 * of the kind REGION the charge, not the memory, stays until no secret is left in a region.
 * 0, -EINVAL (not an arena), or what the kernel refused: -ENOMEM, -EPERM, -ENOTSUP,
 * -EAGAIN; what could not be given back stays wiped and protected.
 */
SECUREMEM_API int securemem_arena_trim(securemem_arena *arena);

/*
 * Locks pages ahead until the arena has bytes of them idle, and keeps so much idle from
 * then on, until it is trimmed: allocations of up to a page cannot fail while less than
 * that is handed out since, page by page. A packed size class takes whole pages, and each
 * thread may have a page of it for itself: reserve as many; those of an arena of packed
 * secrets that are too large to be packed find nothing reserved. Guarded arenas are not
 * cached by threads meanwhile: each allocation and free takes a lock, and still no system
 * call. Guards that are only preferred, and refused, are missing in what is reserved, too.
 * 0, -EINVAL (not an arena), or why it cannot be had: -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN;
 * the reservation is then as before.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_arena_reserve(securemem_arena *arena,
                                                               size_t bytes);

/*
 * The bytes of pages that the arena can still hand out: what it has idle or locked ahead,
 * and what budget and lock limit grant; SIZE_MAX: neither is limited. Room on pages that
 * have secrets, and what threads cache, come on top. 0 and EINVAL: not an arena.
 */
SECUREMEM_API size_t securemem_arena_remaining(securemem_arena *arena);

/*
 * Compares the canaries of every live secret that is readable. Other threads may go on;
 * what they free meanwhile was checked by that.
 * 0, -EINVAL (not an arena), or, where a handler for misuse returns, -EBADMSG: one was
 * overwritten, which is misuse (SECUREMEM_MISUSE_CANARY).
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_arena_check(securemem_arena *arena);

/*
 * Opens a scope of the calling thread on an arena with .protection_key: until it is closed
 * the thread may read its secrets, or with SECUREMEM_WRITE also write them. Scopes nest;
 * what they allow never shrinks before the last is closed. With a key, neither call makes
 * a system call.
 *
 * Rights belong to the thread. A signal handler begins with none, also where it interrupts
 * a scope, and gets none but by a scope of its own; one that leaves by siglongjmp(3) leaves
 * the thread with none. A new thread has those of the thread that made it at that moment
 * (clone(2)), so make threads outside of scopes, or let them begin with
 * securemem_arena_close. A forked child has those of the thread that forked.
 *
 * 0, -EINVAL (not an arena, not such an access), -ENOTSUP (made without .protection_key),
 * -EOVERFLOW (65,535 scopes are open); where mprotect(2) stands in for the key also what
 * that was refused with, -ENOMEM (vm.max_map_count), -EPERM, -ENOTSUP, -EAGAIN: nothing is
 * open then that was not.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_arena_open(securemem_arena *arena,
                                                            securemem_access access);

/*
 * Closes a scope of the calling thread; with the last its rights end, and with none open
 * they do as well: what was inherited is given up. Where mprotect(2) stands in for the key
 * scopes are the process's, and the last one closes every page.
 * 0, -EINVAL (not an arena, or no scope is open), -ENOTSUP; with mprotect(2) also its
 * refusals: the scope stays open, to be closed again, with the pages that were refused.
 */
SECUREMEM_API int securemem_arena_close(securemem_arena *arena);

/*
 * Wipes and releases every secret of the arena, and the arena. The caller makes sure that
 * no other thread uses either any more, or has a scope open: its protection key would not
 * be used again. NULL does nothing; the default arena, or what is
 * not an arena, is misuse (SECUREMEM_MISUSE_NOT_AN_ARENA). Keeps errno.
 */
SECUREMEM_API void securemem_arena_destroy(securemem_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
