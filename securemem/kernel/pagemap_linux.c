/* SPDX-License-Identifier: ISC */
#include "kernel/pagemap.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/answer.h"
#include "kernel/kernel.h"

/* Linux's own layout (linux/fs.h, 6.7), for headers that are older than the kernel. */
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
_Static_assert(sizeof(struct scan) == 96, "as the kernel has it");

#define SCAN _IOWR('f', 16, struct scan)

static long scan(int descriptor, struct scan *scan)
{
    int before = errno;
    return smem_answer(before, ioctl(descriptor, SCAN, scan));
}

long smem_kernel_scan_pages(int descriptor, uintptr_t start, uintptr_t end,
                            struct smem_pages *out, size_t count, uintptr_t *next)
{
    struct scan request = {
        .size = sizeof request,
        .start = start,
        .end = end,
        .vec = (uintptr_t)out,
        .vec_len = count,
        .category_inverted = SMEM_PAGES_PRESENT,
        .category_anyof_mask = SMEM_PAGES_PRESENT | SMEM_PAGES_ZERO,
        .return_mask =
            SMEM_PAGES_PRESENT | SMEM_PAGES_SWAPPED | SMEM_PAGES_ZERO | SMEM_PAGES_GUARD,
    };
    long found = scan(descriptor, &request);
    if (found == -EINVAL) { /* a kernel that does not tell guards */
        request.return_mask &= ~SMEM_PAGES_GUARD;
        found = scan(descriptor, &request);
    }
    *next = (uintptr_t)request.walk_end;
    /* What was inverted to be looked for comes back inverted. */
    for (long i = 0; i < found; i++)
        out[i].what ^= SMEM_PAGES_PRESENT;
    return found;
}

long smem_kernel_read_pages(int descriptor, uintptr_t start, uint64_t *out, size_t count)
{
    off_t at = (off_t)(start / smem_kernel_page_size() * sizeof *out);
    int before = errno;
    long bytes = smem_answer(
        before, syscall(SYS_pread64, descriptor, out, count * sizeof *out, at));
    return bytes < 0 ? bytes : bytes / (long)sizeof *out;
}
