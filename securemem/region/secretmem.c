/* SPDX-License-Identifier: ISC */
#include "region/secretmem.h"

#include <errno.h>

#include "kernel/keys.h"
#include "kernel/secretmem.h"
#include "region/error.h"

/* One page of a file is mapped over the first guard to see it work, and taken away again. */
int smem_secretmem_decide(struct smem_region *region)
{
    if (region->options.secret_memory == SECUREMEM_OFF)
        return 0;
    bool preferred = region->options.secret_memory == SECUREMEM_PREFERRED;
    region->secret = true;
    if (preferred)
        smem_error_hold();
    int result = smem_secretmem_map(region, region->base, region->page);
    if (preferred)
        smem_error_resume();
    if (result == 0)
        return smem_secretmem_unmap(region, region->base, region->page);
    if (!preferred)
        return result;
    region->secret = false;
    region->secret_memory_refused = -result;
    return 0;
}

/*
 * The kernel refuses to fill such pages ahead of a touch, and a touch that it cannot serve
 * is a SIGBUS: asked to read there itself, it answers instead.
 */
static int fill(const struct smem_region *region, const char *start, size_t length)
{
    for (size_t at = 0; at < length; at += region->page)
        if (smem_kernel_is_readable(start + at) != 1)
            return smem_error_own(
                "memfd_secret", ENOMEM,
                "the machine has no memory left for it; free memory, or "
                "raise the memory limit of the control group");
    if (smem_kernel_is_locked((char *)(uintptr_t)start, length) == 1)
        return 0;
    return smem_error_own(
        "memfd_secret", ENOTSUP,
        "the call succeeds, but the kernel has no lock there: a sandbox "
        "or an emulator pretends to it");
}

static int map_file(int descriptor, char *start, size_t length)
{
    int result = smem_kernel_set_length(descriptor, length);
    if (result != 0)
        return smem_error_kernel("ftruncate of memfd_secret", result, length);
    result = smem_kernel_map_over(start, length, descriptor);
    return result == 0 ? 0 : smem_error_kernel("mmap of memfd_secret", result, length);
}

/* Not to be inherited, and of the region's key: what the reservation was went with it. */
static int make_like_reservation(const struct smem_region *region, char *start,
                                 size_t length)
{
    int result = smem_kernel_advise(start, length, SMEM_ADVICE_DONTFORK);
    if (result != 0)
        return smem_error_kernel("madvise(MADV_DONTFORK)", result, length);
    if (region->key == 0)
        return 0;
    result = smem_kernel_key_protect(start, length, SMEM_ACCESS_WRITE, region->key);
    return result == 0 ? 0 : smem_error_kernel("pkey_mprotect", result, length);
}

int smem_secretmem_map(struct smem_region *region, char *start, size_t length)
{
    int descriptor = smem_kernel_secret_open();
    if (descriptor < 0)
        return smem_error_kernel("memfd_secret", descriptor, length);
    int result = map_file(descriptor, start, length);
    (void)smem_kernel_close(descriptor); /* closed nevertheless, as Linux does */
    if (result != 0)
        return result;
    result = make_like_reservation(region, start, length);
    if (result == 0)
        result = fill(region, start, length);
    if (result == 0)
        return 0;
    /* It holds zeros; what is refused stays so, and is mapped over by the next try. */
    smem_error_hold();
    (void)smem_secretmem_unmap(region, start, length);
    smem_error_resume();
    return result;
}

int smem_secretmem_unmap(struct smem_region *region, char *start, size_t length)
{
    (void)region;
    int result = smem_kernel_reserve_over(start, length);
    if (result != 0)
        return smem_error_kernel("mmap", result, length);
    /* Refused, a child inherits addresses that hold nothing. */
    (void)smem_kernel_advise(start, length, SMEM_ADVICE_DONTFORK);
    return 0;
}
