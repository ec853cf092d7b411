/* SPDX-License-Identifier: ISC */
#include "kernel/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "kernel/answer.h"

#define CODE_PERF 6 /* TRAP_PERF, Linux 5.13 */

/* The kernel's signal set, of which the C library's is a larger cousin. */
#define SIGNALS             64
#define KERNEL_SIGSET_BYTES 8UL
#define IN_SET(number)      ((uint64_t)1 << ((number)-1))

/* Who uses the handler of a signal. */
enum user { TRAP = 1, FATAL = 2 };

static struct {
    struct sigaction earlier; /* written while there is no user */
    atomic_uint users;
} uses[SIGNALS + 1];

static _Atomic(smem_trap_handler) trap;
static _Atomic(smem_fatal_handler) fatal;

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

static bool is_handler(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static bool is_page_fault(int number, const siginfo_t *info)
{
    return number == SIGTRAP && info->si_code == CODE_PERF;
}

/* Ignored, a signal that the kernel forces on a thread still ends it; so does abort(3). */
static bool is_forced(int number, const siginfo_t *info)
{
    return info->si_code > 0 || (number == SIGABRT && info->si_pid == getpid());
}

/* Nothing of the program's runs after this one, or a handler that is there for the end. */
static bool is_last(const struct sigaction *earlier, int number, const siginfo_t *info)
{
    if (is_handler(earlier))
        return !is_page_fault(number, info);
    return earlier->sa_handler == SIG_DFL || is_forced(number, info);
}

/*
 * The same signal once more, which waits until the handler returns, blocked, and is then
 * taken at the instruction that it came from.
 */
static void end(int number, siginfo_t *info)
{
    const struct sigaction nothing = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &nothing, NULL);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, info) != 0)
        (void)raise(number);
}

/* With what the kernel would have blocked for it. */
static void run(const struct sigaction *earlier, int number, siginfo_t *info,
                ucontext_t *context)
{
    uint64_t mask, more;
    memcpy(&mask, &context->uc_sigmask, sizeof mask);
    memcpy(&more, &earlier->sa_mask, sizeof more);
    mask |= more;
    if ((earlier->sa_flags & SA_NODEFER) == 0)
        mask |= IN_SET(number);
    if ((earlier->sa_flags & (int)SA_RESETHAND) != 0)
        (void)sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET_BYTES);
    if ((earlier->sa_flags & SA_SIGINFO) != 0)
        earlier->sa_sigaction(number, info, context);
    else
        earlier->sa_handler(number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int before = errno;
    unsigned users = atomic_load(&uses[number].users);
    const struct sigaction *earlier = &uses[number].earlier;
    smem_trap_handler trapped = atomic_load(&trap);
    smem_fatal_handler ending = atomic_load(&fatal);
    if ((users & TRAP) != 0 && is_page_fault(number, info) && trapped != NULL) {
        trapped(instruction_of(context), (uintptr_t)info->si_addr);
    } else {
        bool last = is_last(earlier, number, info);
        if ((users & FATAL) != 0 && last && ending != NULL)
            ending();
        if (is_handler(earlier))
            run(earlier, number, info, context);
        else if (last)
            end(number, info);
    }
    errno = before;
}

static bool is_own(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_signal;
}

/* While it runs nothing interrupts: a fault in it ends the process. */
static int install(int number, const struct sigaction *earlier)
{
    bool restarts = !is_handler(earlier) || (earlier->sa_flags & SA_RESTART) != 0;
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags =
                                   SA_SIGINFO | SA_ONSTACK | (restarts ? SA_RESTART : 0)};
    (void)sigfillset(&action.sa_mask); /* never fails */
    return sigaction(number, &action, NULL);
}

static int use(int number, enum user user)
{
    struct sigaction now;
    int before = errno;
    int result = sigaction(number, NULL, &now);
    if (result == 0 && !is_own(&now)) {
        uses[number].earlier = now;
        result = install(number, &now);
    }
    if (result == 0)
        atomic_fetch_or(&uses[number].users, user);
    return (int)smem_answer(before, result);
}

/* Refused, it stays, and passes on what is not its own. */
static int leave(int number, enum user user)
{
    struct sigaction now;
    int before = errno;
    unsigned left = atomic_fetch_and(&uses[number].users, ~(unsigned)user) & ~user;
    int result = left != 0 ? 0 : sigaction(number, NULL, &now);
    if (result == 0 && left == 0 && is_own(&now))
        result = sigaction(number, &uses[number].earlier, NULL);
    return (int)smem_answer(before, result);
}

int smem_kernel_set_trap(smem_trap_handler handler)
{
    atomic_store(&trap, handler);
    return use(SIGTRAP, TRAP);
}

int smem_kernel_unset_trap(void)
{
    return leave(SIGTRAP, TRAP);
}

int smem_kernel_trap_is_blocked(void)
{
    sigset_t blocked;
    int code = pthread_sigmask(SIG_BLOCK, NULL, &blocked); /* which leaves errno alone */
    return code != 0 ? -code : sigismember(&blocked, SIGTRAP);
}

int smem_kernel_set_fatal(int number, smem_fatal_handler handler)
{
    atomic_store(&fatal, handler);
    return use(number, FATAL);
}

int smem_kernel_unset_fatal(int number)
{
    return leave(number, FATAL);
}

static bool is_default(const struct sigaction *action)
{
    return !is_handler(action) && action->sa_handler == SIG_DFL;
}

int smem_kernel_is_default(int number)
{
    struct sigaction now;
    int before = errno;
    int result = (int)smem_answer(before, sigaction(number, NULL, &now));
    return result != 0 ? result : is_default(&now);
}

int smem_kernel_ends_as_default(int number)
{
    struct sigaction now;
    int before = errno;
    int result = (int)smem_answer(before, sigaction(number, NULL, &now));
    if (result != 0)
        return result;
    if (is_own(&now) && (atomic_load(&uses[number].users) & TRAP) == 0)
        return is_default(&uses[number].earlier);
    return is_default(&now);
}
