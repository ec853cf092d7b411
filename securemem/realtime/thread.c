/* SPDX-License-Identifier: ISC */
/* A thread whose stack is its own mapping: |guard| stack |, in memory and locked. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <securemem/realtime.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/kernel.h"
#include "kernel/process.h"
#include "realtime/touch.h"
#include "realtime/witness.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/ranges.h"

static const char operation[] = "securemem_rt_thread_create";

/* At the start of its mapping, in a page of its own in front of the guard. */
struct securemem_rt_thread {
    struct smem_pool_object object; /* state 1: created, and not joined yet */
    pthread_t thread;
    char *mapping;
    size_t stack; /* bytes; a guard page is before it */
    bool cold;
    void *(*start)(void *argument);
    void *argument;
};

static struct smem_pool pool = {.object_size = sizeof(struct securemem_rt_thread),
                                .lasting = sizeof(struct smem_pool_object)};

#define WARM_BYTES 64U

/* What is made at a thread's first use of it is made now. */
static void warm_up(void)
{
    void *block = malloc(WARM_BYTES);
    if (block != NULL) /* without memory, start meets that itself */
        smem_touch(block, WARM_BYTES);
    free(block);
    (void)smem_kernel_touch_clocks(); /* what there is not cannot be warmed */
    (void)smem_witness_self();        /* nor a witness that is refused */
}

static void *run(void *argument)
{
    const struct securemem_rt_thread *thread = argument;
    if (!thread->cold)
        warm_up();
    return thread->start(thread->argument);
}

static int check_options(const securemem_rt_thread_options *options, size_t *stack)
{
    size_t page = smem_kernel_page_size();
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i] != 0)
            return smem_error_argument(operation, ".reserved is not zero");
    if (options->fifo_priority != 0 &&
        (options->fifo_priority < sched_get_priority_min(SCHED_FIFO) ||
         options->fifo_priority > sched_get_priority_max(SCHED_FIFO)))
        return smem_error_argument(operation, ".fifo_priority is not one of SCHED_FIFO");
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    size_t bytes = options->stack == 0 ? SECUREMEM_RT_STACK_DEFAULT : options->stack;
    if (bytes < least || bytes > SIZE_MAX / 2)
        return smem_error_argument(
            operation, ".stack is smaller than PTHREAD_STACK_MIN, or larger than memory");
    *stack = (bytes + page - 1) / page * page;
    return 0;
}

static int map_stack(struct securemem_rt_thread *thread)
{
    size_t page = smem_kernel_page_size(), whole = thread->stack + page;
    void *mapping;
    int result = smem_kernel_map(whole, &mapping);
    if (result != 0)
        return smem_error_kernel("mmap", result, whole);
    result = smem_kernel_protect(mapping, page, SMEM_ACCESS_NONE);
    if (result != 0) {
        result = smem_error_kernel("mprotect", result, page);
        goto unmap;
    }
    result = smem_kernel_lock((char *)mapping + page, thread->stack);
    if (result == 0 && smem_kernel_is_locked((char *)mapping + page, thread->stack) != 1)
        result = -ENOSYS;
    if (result != 0) {
        result = smem_error_kernel("mlock", result, thread->stack);
        goto unmap;
    }
    uintptr_t start = (uintptr_t)mapping + page;
    result = smem_range_hold(start, start + thread->stack);
    if (result != 0)
        goto unmap;
    thread->mapping = mapping;
    return 0;

unmap:
    (void)smem_kernel_unmap(mapping, whole); /* nobody has run on it */
    return result;
}

static int unmap_stack(const struct securemem_rt_thread *thread)
{
    size_t page = smem_kernel_page_size();
    uintptr_t start = (uintptr_t)thread->mapping + page;
    smem_range_drop(start, start + thread->stack);
    /* Where it can be unlocked but not unmapped, its charge is given back at least. */
    (void)smem_kernel_unlock(thread->mapping + page, thread->stack);
    return smem_kernel_unmap(thread->mapping, thread->stack + page);
}

static int refuse_start(int code, const securemem_rt_thread_options *options)
{
    if (code == EPERM && options->fifo_priority != 0)
        return smem_error_own(operation, EPERM,
                              "SCHED_FIFO is refused; raise RLIMIT_RTPRIO (ulimit -r, "
                              "LimitRTPRIO= in systemd) or grant CAP_SYS_NICE");
    return smem_error_kernel("pthread_create", -code, 0);
}

static int start_thread(struct securemem_rt_thread *thread,
                        const securemem_rt_thread_options *options)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return smem_error_kernel("pthread_attr_init", -code, 0);
    code = pthread_attr_setstack(&attributes, thread->mapping + smem_kernel_page_size(),
                                 thread->stack);
    if (code == 0 && options->fifo_priority != 0) {
        struct sched_param priority = {.sched_priority = options->fifo_priority};
        (void)pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        (void)pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        code = pthread_attr_setschedparam(&attributes, &priority);
    }
    if (code == 0)
        code = pthread_create(&thread->thread, &attributes, run, thread);
    (void)pthread_attr_destroy(&attributes);
    return code == 0 ? 0 : refuse_start(code, options);
}

int securemem_rt_thread_create(securemem_rt_thread **out,
                               const securemem_rt_thread_options *given,
                               void *(*start)(void *argument), void *argument)
{
    smem_fork_check();
    static const securemem_rt_thread_options defaults;
    const securemem_rt_thread_options *options = given == NULL ? &defaults : given;
    if (out == NULL || start == NULL)
        return smem_error_argument(operation, "thread or start is NULL");
    size_t stack = 0;
    void *object = NULL;
    int result = check_options(options, &stack);
    if (result == 0)
        result = smem_pool_take(&pool, &object);
    if (result != 0)
        return result;
    struct securemem_rt_thread *thread = object;
    thread->stack = stack;
    thread->cold = options->cold;
    thread->start = start;
    thread->argument = argument;
    result = map_stack(thread);
    if (result != 0)
        goto give;
    atomic_store(&thread->object.state, 1);
    result = start_thread(thread, options);
    if (result != 0)
        goto unmap;
    *out = thread;
    return 0;

unmap:
    (void)unmap_stack(thread); /* nobody has run on it */
give:
    smem_pool_give(&pool, thread);
    return result;
}

int securemem_rt_thread_join(securemem_rt_thread *thread, void **result)
{
    static const char join[] = "securemem_rt_thread_join";
    if (!smem_pool_has(&pool, thread) || atomic_load(&thread->object.state) != 1)
        return smem_error_argument(join, "it is not a thread, or was joined");
    void *given;
    int code = pthread_join(thread->thread, &given);
    if (code != 0)
        return smem_error_argument(join, "the thread cannot be joined by itself");
    (void)unmap_stack(thread); /* refused, it stays mapped: a stack nobody runs on */
    smem_pool_give(&pool, thread);
    if (result != NULL)
        *result = given;
    return 0;
}
