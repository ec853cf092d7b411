/* SPDX-License-Identifier: ISC */
#include "kernel/stack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "kernel/answer.h"
#include "kernel/cancel.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* Where the kernel does not say (x86-64 before Linux 5.14): a frame with AVX-512. */
#define FRAME_LEAST 4096UL

static void describe(const stack_t *stack, struct smem_alternate *out)
{
    *out = (struct smem_alternate){.start = stack->ss_sp,
                                   .length = stack->ss_size,
                                   .flags = stack->ss_flags,
                                   .there = (stack->ss_flags & SS_DISABLE) == 0,
                                   .stands_on = (stack->ss_flags & SS_ONSTACK) != 0};
}

int smem_kernel_alternate(struct smem_alternate *out)
{
    stack_t stack;
    int saved = errno;
    int result = (int)smem_answer(saved, sigaltstack(NULL, &stack));
    if (result == 0)
        describe(&stack, out);
    return result;
}

int smem_kernel_set_alternate(const struct smem_alternate *now,
                              struct smem_alternate *before)
{
    stack_t wanted = {.ss_sp = now->start,
                      .ss_size = now->length,
                      .ss_flags = now->flags & ~SS_ONSTACK};
    stack_t stack;
    int saved = errno;
    int result = (int)smem_answer(saved, sigaltstack(&wanted, &stack));
    if (result == 0 && before != NULL)
        describe(&stack, before);
    return result;
}

size_t smem_kernel_signal_frame(void)
{
    size_t most = getauxval(AT_MINSIGSTKSZ);
    return most == 0 ? FRAME_LEAST : most;
}

size_t smem_kernel_thread_needs(void)
{
    long least = sysconf(_SC_THREAD_STACK_MIN);
    return least < 0 ? (size_t)1 << 17 : (size_t)least;
}

int smem_kernel_run_thread(void *stack, size_t length, void *(*function)(void *argument),
                           void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return -code;
    code = pthread_attr_setstack(&attributes, stack, length);
    if (code == 0)
        code = pthread_create(&thread, &attributes, function, argument);
    (void)pthread_attr_destroy(&attributes); /* never fails */
    if (code != 0)
        return -code;
    int before = smem_kernel_forbid_cancel(); /* it is the thread that uses argument */
    code = pthread_join(thread, NULL);
    smem_kernel_allow_cancel(before);
    return -code;
}
