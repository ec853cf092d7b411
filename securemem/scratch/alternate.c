/* SPDX-License-Identifier: ISC */
/*
 * The alternate signal stack: a handler with SA_ONSTACK has the registers of what it
 * interrupts written there, by the kernel.
 */
#include <errno.h>
#include <securemem/secret.h>
#include <sodium.h>

#include "kernel/kernel.h"
#include "region/error.h"
#include "scratch/deepest.h"
#include "scratch/stacks.h"

void smem_alternate_give(struct smem_stacks *stacks)
{
    char *given = stacks->alternate;
    stacks->alternate = NULL; /* before, for a child of another thread's fork */
    stacks->alternate_size = 0;
    securemem_free(given);
}

/* One of at least so many bytes, all zeros; the earlier one stays where that is refused. */
static int need(struct smem_stacks *stacks, size_t size)
{
    size_t mask = smem_kernel_page_size() - 1;
    size = size > SIZE_MAX - mask ? SIZE_MAX : (size + mask) & ~mask;
    if (stacks->alternate_size >= size)
        return 0;
    int before = errno;
    char *larger = smem_stacks_alloc(size);
    int code = errno;
    errno = before;
    if (larger == NULL)
        return -code;
    smem_alternate_give(stacks);
    stacks->alternate = larger;
    stacks->alternate_size = size;
    return 0;
}

int smem_alternate_refuse(void)
{
    return smem_error_own("securemem_scratch_call", EPERM,
                          "the handler of a signal called it on the alternate stack");
}

static int refuse(int result)
{
    return smem_error_kernel("sigaltstack", result, 0);
}

/* One that is older than the process ends once no call stands on it. */
static void drop_aged(struct smem_stacks *stacks)
{
    if (!stacks->aged || stacks->lent)
        return;
    smem_alternate_give(stacks);
    stacks->aged = false;
}

/* It was not left: what a call changed that ended by a jump. */
static int restore(struct smem_stacks *stacks)
{
    struct smem_alternate now;
    int result = smem_kernel_set_alternate(&stacks->before, &now);
    if (result != 0)
        return result;
    stacks->lent = false;
    /* Not ours any more: the program has set another meanwhile, which stays. */
    return now.start == stacks->alternate ? 0 : smem_kernel_set_alternate(&now, NULL);
}

int smem_alternate_enter(struct smem_stacks *stacks)
{
    struct smem_alternate now;
    int result = smem_kernel_alternate(&now);
    if (result != 0)
        return refuse(result);
    if (now.stands_on)
        return smem_alternate_refuse();
    if (stacks->lent) {
        result = restore(stacks);
        if (result == 0)
            result = smem_kernel_alternate(&now);
        if (result != 0)
            return refuse(result);
    }
    drop_aged(stacks);
    if (!now.there)
        return 0;
    result = need(stacks, now.length);
    if (result != 0)
        return result;
    struct smem_alternate locked = {
        .start = stacks->alternate, .length = stacks->alternate_size, .flags = now.flags};
    result = smem_kernel_set_alternate(&locked, &stacks->before);
    if (result != 0)
        return refuse(result);
    stacks->lent = true;
    return 0;
}

/* The kernel puts the first frame at the upper end: where that is zero, none came. */
static void wipe(const struct smem_stacks *stacks)
{
    char *end = stacks->alternate + stacks->alternate_size;
    size_t frame = smem_kernel_signal_frame();
    frame -= frame % SMEM_DEEPEST_STRIDE;
    if (frame > stacks->alternate_size || smem_scratch_deepest(end - frame, end) != end)
        sodium_memzero(stacks->alternate, stacks->alternate_size);
}

void smem_alternate_leave(struct smem_stacks *stacks)
{
    if (!stacks->lent)
        return;
    (void)restore(stacks); /* refused, it is tried again by the next call */
    wipe(stacks);
    drop_aged(stacks);
}

void smem_alternate_end(struct smem_stacks *stacks)
{
    if (stacks->lent && restore(stacks) != 0 && stacks->lent) {
        sodium_memzero(stacks->alternate, stacks->alternate_size);
        return;
    }
    smem_alternate_give(stacks);
}
