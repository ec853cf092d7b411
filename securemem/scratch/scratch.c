/* SPDX-License-Identifier: ISC */
#include <securemem/scratch.h>

#include <errno.h>
#include <sodium.h>

#include "region/error.h"
#include "region/fork.h"
#include "scratch/deepest.h"
#include "scratch/run.h"
#include "scratch/stacks.h"
#include "scratch/switch.h"

/* For a signal's handler, beside its frame. */
#define HANDLER_BYTES 4096U

/* Between a call on a scratch stack and one nested in it on the same stack. */
#define NESTED_GAP 4096U

/* The bytes of stack that a call takes, or SIZE_MAX. */
static size_t bytes_of(size_t stack_size)
{
    static atomic_size_t around;
    size_t more = atomic_load_explicit(&around, memory_order_relaxed);
    if (more == 0) {
        more = smem_kernel_signal_frame() + HANDLER_BYTES + smem_run_needs();
        atomic_store_explicit(&around, more, memory_order_relaxed);
    }
    more += SMEM_DEEPEST_STRIDE - 1;
    size_t size = stack_size == 0 ? SECUREMEM_SCRATCH_DEFAULT : stack_size;
    return size > SIZE_MAX - more ? SIZE_MAX
                                  : (size + more) & ~(SMEM_DEEPEST_STRIDE - 1UL);
}

/* Whether the rest of the stack that the caller stands on does. */
static bool nests_in_place(const struct smem_stack *inner, const char *here, size_t size)
{
    size_t left = inner == NULL ? 0 : (size_t)(here - inner->low);
    return SMEM_SCRATCH_SWITCHES && left > NESTED_GAP && left - NESTED_GAP >= size;
}

static void wipe(char *low, char *start)
{
    char *deepest = smem_scratch_deepest(low, start);
    sodium_memzero(deepest, (size_t)(start - deepest));
}

static int call(struct smem_stacks *stacks, const char *here, struct smem_run *run,
                size_t size)
{
    bool outermost = stacks->inner == NULL;
    bool in_place = nests_in_place(stacks->inner, here, size);
    int result = outermost ? smem_alternate_enter(stacks) : 0;
    if (result != 0)
        return result;
    if (!in_place)
        result = smem_stacks_push(stacks, size);
    bool pushed = !in_place && result == 0;
    if (result != 0)
        goto leave;
    run->low = stacks->inner->low;
    run->start = run->low + size;
    result = smem_run(run);
    wipe(run->low, run->start);
leave:
    if (pushed)
        smem_stacks_pop(stacks);
    if (outermost)
        smem_alternate_leave(stacks);
    return result;
}

int securemem_scratch_call(void (*function)(void *argument), void *argument,
                           size_t stack_size)
{
    static const char operation[] = "securemem_scratch_call";
    smem_fork_check();
    if (function == NULL)
        return smem_error_argument(operation, "function is NULL");
    size_t size = bytes_of(stack_size);
    if (size == SIZE_MAX)
        return smem_error_own(operation, ENOMEM,
                              "the size is larger than the address space");
    struct smem_stacks *stacks;
    int result = smem_stacks_own(&stacks);
    if (result != 0)
        return result;
    const char *here = __builtin_frame_address(0);
    if (smem_alternate_holds(stacks, here))
        return smem_alternate_refuse();
    smem_stacks_abandon(stacks, here);
    struct smem_run run = {.function = function, .argument = argument};
    return call(stacks, here, &run, size);
}

int securemem_scratch_trim(void)
{
    smem_fork_check();
    struct smem_stacks *stacks = smem_stacks_here();
    if (stacks == NULL)
        return 0;
    const char *here = __builtin_frame_address(0);
    if (smem_alternate_holds(stacks, here))
        return smem_alternate_refuse();
    smem_stacks_abandon(stacks, here);
    return smem_stacks_trim(stacks);
}
