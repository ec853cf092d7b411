/* SPDX-License-Identifier: ISC */
#include "kernel/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

#include "kernel/answer.h"

#define CODE_PERF 6 /* TRAP_PERF, Linux 5.13 */

static struct sigaction earlier;
static _Atomic(smem_trap_handler) trap;

static uintptr_t instruction_of(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/* As if this handler were not there. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((earlier.sa_flags & SA_SIGINFO) != 0) {
        earlier.sa_sigaction(number, info, context);
    } else if (earlier.sa_handler == SIG_DFL) {
        (void)sigaction(number, &earlier, NULL); /* ends the process when it returns */
        (void)raise(number);
    } else if (earlier.sa_handler != SIG_IGN) {
        earlier.sa_handler(number);
    }
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    int before = errno;
    smem_trap_handler call = atomic_load(&trap);
    if (info->si_code == CODE_PERF && call != NULL)
        call(instruction_of(context), (uintptr_t)info->si_addr);
    else
        pass_on(number, info, context);
    errno = before;
}

int smem_kernel_set_trap(smem_trap_handler handler)
{
    struct sigaction action = {.sa_sigaction = on_trap,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    int before = errno;
    (void)sigemptyset(&action.sa_mask); /* never fails */
    atomic_store(&trap, handler);
    return (int)smem_answer(before, sigaction(SIGTRAP, &action, &earlier));
}

int smem_kernel_unset_trap(void)
{
    struct sigaction now;
    int before = errno;
    int result = (int)smem_answer(before, sigaction(SIGTRAP, NULL, &now));
    if (result != 0 || (now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != on_trap)
        return result;
    return (int)smem_answer(before, sigaction(SIGTRAP, &earlier, NULL));
}

int smem_kernel_trap_is_blocked(void)
{
    sigset_t blocked;
    int code = pthread_sigmask(SIG_BLOCK, NULL, &blocked); /* which leaves errno alone */
    return code != 0 ? -code : sigismember(&blocked, SIGTRAP);
}
