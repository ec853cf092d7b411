/* SPDX-License-Identifier: ISC */
#include "process/stack.h"

#include <errno.h>
#include <securemem/process.h>

#include "kernel/kernel.h"
#include "kernel/process.h"
#include "kernel/stack.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/ranges.h"
#include "region/thread_key.h"

/* For the program's own handler, which may write a report of what happened. */
#define HANDLER_BYTES ((size_t)64 * 1024)

static struct smem_thread_key at_end;
static _Thread_local char *own; /* where its guard begins; NULL: none */

static size_t stack_bytes(void)
{
    size_t mask = smem_kernel_page_size() - 1;
    return (smem_kernel_signal_frame() + HANDLER_BYTES + mask) & ~mask;
}

static char *stack_of(char *mapping)
{
    return mapping + smem_kernel_page_size();
}

static int keep_from_dumps(char *stack, size_t length)
{
    static const char operation[] = "madvise(MADV_DONTDUMP)";
    if (smem_kernel_advise(stack, smem_kernel_page_size(), SMEM_ADVICE_UNKNOWN) == 0)
        return smem_error_own(operation, ENOTSUP, "an emulator takes any advice");
    int result = smem_kernel_advise(stack, length, SMEM_ADVICE_DONTDUMP);
    return result == 0 ? 0 : smem_error_kernel(operation, result, length);
}

static int lock(char *stack, size_t length)
{
    int result = smem_kernel_lock(stack, length);
    if (result != 0)
        return smem_error_kernel("mlock", result, length);
    if (smem_kernel_is_locked(stack, length) == 1)
        return 0;
    return smem_error_own(
        "mlock", ENOTSUP,
        "the call succeeds, but the kernel has no lock there: a sandbox "
        "or an emulator pretends to it");
}

static int make(char **out)
{
    size_t page = smem_kernel_page_size(), length = stack_bytes();
    void *mapping;
    int result = smem_kernel_map(page + length, &mapping);
    if (result != 0)
        return smem_error_kernel("mmap", result, page + length);
    char *stack = stack_of(mapping);
    result = smem_kernel_protect(mapping, page, SMEM_ACCESS_NONE);
    if (result != 0) {
        result = smem_error_kernel("mprotect", result, page);
        goto unmap;
    }
    result = keep_from_dumps(stack, length);
    if (result != 0)
        goto unmap;
    result = lock(stack, length);
    if (result != 0)
        goto unmap;
    result = smem_range_hold((uintptr_t)stack, (uintptr_t)stack + length);
    if (result != 0)
        goto unmap;
    *out = mapping;
    return 0;

unmap:
    (void)smem_kernel_unmap(mapping, page + length); /* nothing was on it */
    return result;
}

/* A stack on which handlers ran; unmapping drops its pages and their lock. */
static void destroy(char *mapping)
{
    size_t length = stack_bytes();
    char *stack = stack_of(mapping);
    smem_range_drop((uintptr_t)stack, (uintptr_t)stack + length);
    (void)smem_kernel_unlock(stack, length);
    (void)smem_kernel_unmap(mapping, length + smem_kernel_page_size());
}

/* Takes it from the thread, unless the program has given that another meanwhile. */
static int take_off(char *mapping)
{
    struct smem_alternate now;
    int result = smem_kernel_alternate(&now);
    if (result == 0 && now.there && now.start == stack_of(mapping)) {
        const struct smem_alternate none = {.flags = SMEM_ALTERNATE_NONE};
        result = smem_kernel_set_alternate(&none, NULL);
    }
    return result == 0 ? 0 : smem_error_kernel("sigaltstack", result, 0);
}

/* Still in use, it stays mapped: a signal on its way would find nothing there. */
static void end_thread(void *mapping)
{
    if (take_off(mapping) == 0)
        destroy(mapping);
}

static int put_on(char *mapping)
{
    const struct smem_alternate alternate = {.start = stack_of(mapping),
                                             .length = stack_bytes()};
    int result = smem_kernel_set_alternate(&alternate, NULL);
    return result == 0 ? 0 : smem_error_kernel("sigaltstack", result, stack_bytes());
}

int smem_signal_stack_begin(bool *made)
{
    struct smem_alternate now;
    int result = smem_kernel_alternate(&now);
    if (result != 0)
        return smem_error_kernel("sigaltstack", result, 0);
    *made = false;
    if (now.there)
        return 0;
    if (own != NULL) { /* the program took it off */
        result = put_on(own);
        *made = result == 0;
        return result;
    }
    char *mapping = NULL;
    result = make(&mapping);
    if (result != 0)
        return result;
    if (!smem_thread_key_set(&at_end, end_thread, mapping)) {
        result = smem_error_own("pthread_key_create", EAGAIN,
                                "the process has no key of threads left");
        goto destroy;
    }
    result = put_on(mapping);
    if (result != 0)
        goto forget;
    own = mapping;
    *made = true;
    return 0;

forget:
    (void)smem_thread_key_set(&at_end, end_thread, NULL);
destroy:
    destroy(mapping);
    return result;
}

int smem_signal_stack_end(void)
{
    if (own == NULL)
        return 0;
    int result = take_off(own);
    if (result != 0)
        return result;
    (void)smem_thread_key_set(&at_end, end_thread, NULL);
    destroy(own);
    own = NULL;
    return 0;
}

int securemem_signal_stack(void)
{
    smem_fork_check();
    bool made;
    return smem_signal_stack_begin(&made);
}
