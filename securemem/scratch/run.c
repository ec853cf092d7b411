/* SPDX-License-Identifier: ISC */
#include "scratch/run.h"

#include "scratch/switch.h"

#if SMEM_SCRATCH_SWITCHES

/*
 * Where the program has AddressSanitizer, it is told of the change, so that it knows which
 * addresses are the stack's (sanitizer/common_interface_defs.h).
 */
__attribute__((weak)) void
__sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
__attribute__((weak)) void
__sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);

struct fiber {
    const struct smem_run *run;
    const void *bottom; /* of the stack that it comes from */
    size_t size;
};

static void run_fiber(void *argument)
{
    struct fiber *fiber = argument;
    __sanitizer_finish_switch_fiber(NULL, &fiber->bottom, &fiber->size);
    fiber->run->function(fiber->run->argument);
    __sanitizer_start_switch_fiber(NULL, fiber->bottom, fiber->size);
}

static void switch_fiber(const struct smem_run *run)
{
    struct fiber fiber = {.run = run};
    void *fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, run->low,
                                   (size_t)(run->start - run->low));
    smem_scratch_switch(run_fiber, &fiber, run->start);
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
}

int smem_run(const struct smem_run *run)
{
    if (__sanitizer_start_switch_fiber == NULL || __sanitizer_finish_switch_fiber == NULL)
        smem_scratch_switch(run->function, run->argument, run->start);
    else
        switch_fiber(run);
    return 0;
}

size_t smem_run_needs(void)
{
    return 0;
}

#else

#include <securemem/scratch.h>

#include "kernel/stack.h"
#include "region/error.h"

static void *run_here(void *argument)
{
    const struct smem_run *run = argument;
    run->function(run->argument);
    securemem_clear_registers();
    return NULL;
}

int smem_run(const struct smem_run *run)
{
    struct smem_run copy = *run;
    size_t length = (size_t)(run->start - run->low);
    int result = smem_kernel_run_thread(run->low, length, run_here, &copy);
    return result == 0 ? 0 : smem_error_kernel("pthread_create", result, length);
}

size_t smem_run_needs(void)
{
    return smem_kernel_thread_needs();
}

#endif
