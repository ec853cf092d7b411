/* SPDX-License-Identifier: ISC */
/*
 * Page faults and what would cause them: which ranges of the process are not ready, and
 * which instruction faulted.
 *
 * An audit looks at the whole process, once: what is not locked, not in memory, in swap,
 * the shared page of zeros, or shared with a forked child, faults when it is touched.
 *
 * A section is a stretch of a thread's work in which nothing should fault:
 *
 *      securemem_rt_section section = {0};
 *      securemem_rt_section_begin(&section);
 *      while (work()) {
 *          if (securemem_rt_section_faulted(&section)) ...      a few nanoseconds
 *      }
 *      securemem_rt_section_end(&section);                      how many, of which kind, where
 *
 * The witness is perf_event_open(2): counters of page faults need no hardware, and up to
 * kernel.perf_event_paranoid 2 no privilege. They see the thread's own instructions, and
 * record for each fault time, instruction and address. What faults inside a system call
 * they see only with CAP_PERFMON; getrusage(2) counts those too, and what mlock or
 * MAP_POPULATE fault in. Where perf_event_open is refused, getrusage is the only witness:
 * then there are counts without records, and they include what system calls fault in.
 */
#ifndef SECUREMEM_WITNESS_H
#define SECUREMEM_WITNESS_H

#include <securemem/base.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* THE AUDIT */

typedef enum securemem_rt_finding_kind {
    SECUREMEM_RT_NOT_LOCKED = 1,  /* the mapping may be swapped out */
    SECUREMEM_RT_NOT_PRESENT = 2, /* a touch faults it in */
    SECUREMEM_RT_SWAPPED = 3,     /* a touch reads it from swap */
    SECUREMEM_RT_ZERO_PAGE = 4,   /* read but never written: the first write faults */
    SECUREMEM_RT_SHARED = 5 /* a forked child, KSM or the file that it is mapped from
                                     has it too: the first write copies */
} securemem_rt_finding_kind;

#define SECUREMEM_RT_NAME_BYTES 64
#define SECUREMEM_RT_FINDINGS   64

typedef struct securemem_rt_finding {
    securemem_rt_finding_kind kind;
    uintptr_t start;
    size_t length;                      /* bytes, of whole pages that lie side by side */
    char name[SECUREMEM_RT_NAME_BYTES]; /* of the mapping, as /proc/PID/maps has it; its
                                           end where it is longer */
} securemem_rt_finding;

/*
 * Bytes are of pages. A mapping that is both locked and all there has no finding. Not looked
 * at are mappings without access (reservations, guards), which are not to be touched, and
 * those of the kernel, which cannot be locked: vvar, vdso, vsyscall, and the rings of perf
 * and io_uring. Guards of secrets are no findings, nor is what an arena has not handed out.
 */
typedef struct securemem_rt_audit_report {
    size_t mappings;
    size_t bytes;
    size_t charged; /* to RLIMIT_MEMLOCK (VmLck), of all mappings */
    size_t not_locked, not_present, swapped, zero_page, shared; /* bytes */
    bool scanned; /* all by PAGEMAP_SCAN (Linux 6.7); else by pagemap alone, which does
                     not tell zero pages, they count as shared, nor guards that are not
                     of this library's, they count as not present */
    size_t count; /* of findings; those beyond SECUREMEM_RT_FINDINGS are left out, the
                     bytes above have them */
    securemem_rt_finding findings[SECUREMEM_RT_FINDINGS];
    uint64_t reserved[8];
} securemem_rt_audit_report;

/*
 * Looks at every mapping of the process; 1 GiB in pages of 4 KiB takes about 10 milliseconds. It
 * allocates nothing, and changes nothing but 20 KiB of the caller's stack. Pages of files
 * that are mapped privately and only read are not told to be shared, nor memory that is
 * mapped shared. Memory of devices cannot be locked, and is told as not locked.
 *
 * /proc/self/pagemap belongs to root in a process that is not dumpable (PR_SET_DUMPABLE 0,
 * or an identity that was changed). The descriptor is opened by the first audit or
 * securemem_rt_enter and kept, so that later ones work; a process that was not dumpable
 * before the first is refused, and so is its forked child. A program that closes
 * descriptors which it did not open (closefrom) does so before.
 *
 * 0, -EINVAL (report is NULL), or -EPERM: maps, status or pagemap cannot be read; the report
 * is then empty.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_rt_audit(securemem_rt_audit_report *report);

/* SECTIONS */

typedef enum securemem_rt_witness {
    SECUREMEM_RT_WITNESS_NONE = 0,  /* it has not begun, or getrusage was refused too */
    SECUREMEM_RT_WITNESS_PERF = 1,  /* perf_event_open, and getrusage for the rest */
    SECUREMEM_RT_WITNESS_RUSAGE = 2 /* getrusage alone */
} securemem_rt_witness;

typedef enum securemem_rt_trap_action {
    SECUREMEM_RT_TRAP_REPORT = 0, /* a line on descriptor 2 */
    SECUREMEM_RT_TRAP_COUNT = 1,  /* section.trapped grows */
    SECUREMEM_RT_TRAP_ABORT = 2   /* the line, then abort(3) at the instruction */
} securemem_rt_trap_action;

/* section.flags: a SIGTRAP at the instruction that faults (Linux 5.13). */
#define SECUREMEM_RT_TRAP 1U

typedef struct securemem_rt_fault {
    uint64_t time;         /* nanoseconds of CLOCK_MONOTONIC */
    uint32_t thread;       /* gettid(2) */
    bool major;            /* read from disk or swap */
    uintptr_t instruction; /* that faulted */
    uintptr_t address;     /* that it touched */
} securemem_rt_fault;

#define SECUREMEM_RT_FAULTS 64

typedef struct securemem_rt_section {
    uint32_t flags; /* set before begin */
    securemem_rt_trap_action trap;

    /* Set by end. */
    securemem_rt_witness witness;
    uint64_t user_minor, user_major; /* by the thread's own instructions; 0 by rusage */
    bool divided;       /* whether the next two are told apart: CAP_PERFMON, paranoid 1 */
    uint64_t system;    /* inside system calls; undivided, populated ones too */
    uint64_t populated; /* by mlock, MAP_POPULATE and their like; 0 where undivided */
    uint64_t kernel_major; /* of both, those read from disk or swap */
    uint64_t trapped;      /* faults that a SIGTRAP was sent for */
    uint64_t lost;         /* of the thread's own, those that the ring had no room for */
    size_t recorded;       /* of faults; those beyond SECUREMEM_RT_FAULTS are left out,
                              the counts above have them */
    securemem_rt_fault faults[SECUREMEM_RT_FAULTS];

    /* The library's own. */
    const volatile uint64_t *head;
    uint64_t began;
    uint64_t before[5];
    uint64_t reserved[8];
} securemem_rt_section;

/*
 * Begins a section of the calling thread, which ends it too. Sections of a thread do not
 * overlap. The first one of a thread opens its witness: up to four descriptors and a ring of
 * 68 KiB in the kernel's memory, kept until the thread ends; begin with one that does not
 * count. Later ones cost about two microseconds, for begin and end.
 *
 * Rings of all processes of a user share kernel.perf_event_mlock_kb (516 KiB a processor);
 * beyond that they are charged to RLIMIT_MEMLOCK. Where both are used up the ring is
 * smaller, down to 8 KiB, and then the witness is getrusage.
 *
 * With SECUREMEM_RT_TRAP the process gets a handler of SIGTRAP until the last such section
 * ends; signals that are not of a fault go to the handler that was there before. One that
 * the program sets meanwhile stays. A fault in a handler of SIGTRAP, this one's too, is
 * told late, with another instruction; before Linux 5.19 it ends the process.
 *
 * 0; -EINVAL: a section of the thread has begun, or flags or trap are unknown; -EPERM,
 * -ENOTSUP, -EAGAIN, -ENOMEM: the trap was refused, or SIGTRAP is blocked; -ENOMEM: there
 * is no memory for the witness. A refused witness is no error: section->witness says which
 * it is. It is tried once in a thread: what was refused for want of descriptors stays so.
 *
 * FORK. A child has no section: its first one opens a witness of its own, and to end its
 * parent's is -EINVAL there.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_rt_section_begin(securemem_rt_section *section);

/* Ends it and fills the section. 0, or -EINVAL: it is not the thread's section. */
SECUREMEM_API int securemem_rt_section_end(securemem_rt_section *section);

/*
 * Whether the thread's own instructions have faulted since the section began, or did while
 * it lasted, once it has ended: a few loads and comparisons. Always false where the witness
 * is getrusage, where no section has begun, and in a child that was forked inside of one.
 */
static inline bool securemem_rt_section_faulted(const securemem_rt_section *section)
{
    return section->head != NULL ? *section->head != section->began
                                 : section->user_minor + section->user_major > 0;
}

/*
 * One line about a fault: "function+0x2a (program) touched 0x7f.. in [heap]", cut to size.
 * Functions are those that the program or a library exports (-rdynamic); of others there is
 * the file and the offset in it, for addr2line(1). The mapping is the one that is there
 * now. It looks up symbols, so it belongs outside of sections. Gives the bytes of the whole
 * line, without its end, as snprintf(3); 0 where fault is NULL, or line and size is not 0.
 */
SECUREMEM_API size_t securemem_rt_fault_describe(const securemem_rt_fault *fault,
                                                 char *line, size_t size);

#ifdef __cplusplus
}
#endif
#endif
