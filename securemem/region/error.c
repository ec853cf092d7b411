/* SPDX-License-Identifier: ISC */
#include "region/error.h"

#include <errno.h>
#include <securemem/error.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "region/budget.h"

#define LOCK_REMEDY                                                                       \
    "raise it (ulimit -l, LimitMEMLOCK= in systemd, --ulimit memlock= in Docker), grant " \
    "CAP_IPC_LOCK, free secrets, or trim arenas that keep memory idle"
#define HARD_REMEDY "; its hard limit, to which the program itself may raise it, is %zu"

static _Thread_local char message[SMEM_MESSAGE_BYTES];
static _Thread_local securemem_error last;
static _Thread_local unsigned holds; /* of smem_error_hold, which nest */

void smem_error_hold(void)
{
    holds++;
}

void smem_error_resume(void)
{
    holds--;
}

void smem_error_keep(struct smem_kept_error *out)
{
    out->error = last;
    memcpy(out->message, message, sizeof message);
}

void smem_error_put_back(const struct smem_kept_error *kept)
{
    last = kept->error;
    memcpy(message, kept->message, sizeof message);
}

const securemem_error *securemem_last_error(void)
{
    if (last.message == NULL) {
        last.operation = "none";
        last.message = "no call of this thread has failed";
    }
    return &last;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0)
        message[0] = '\0';
    last.message = message;
}

static int record(const char *operation, int code, int kernel_code, size_t needed)
{
    last.operation = operation;
    last.code = code;
    last.kernel_code = kernel_code;
    last.needed = needed;
    last.limit = SIZE_MAX;
    last.in_use = 0;
    return -code;
}

/* What the kernel gives, narrowed to the set of securemem/error.h. */
static int narrowed(int kernel_code)
{
    switch (kernel_code) {
    case ENOMEM:
    case EAGAIN:
        return kernel_code;
    case EPERM:
    case EACCES:
        return EPERM;
    case ENOSYS:
    case EINVAL:
    case EOPNOTSUPP:
        return ENOTSUP;
    default:
        return EAGAIN;
    }
}

static bool is_lock(const char *operation)
{
    return strncmp(operation, "mlock", strlen("mlock")) == 0;
}

/* True, and said, where the lock limit explains the refusal. */
static bool say_lock_limit(const char *operation, size_t needed)
{
    struct smem_lock_budget budget;
    if (smem_budget_of_locks(&budget) != 0 || budget.unlimited)
        return false;
    last.limit = budget.soft;
    last.in_use = budget.in_use;
    if (budget.soft - (budget.in_use < budget.soft ? budget.in_use : budget.soft) >=
        needed)
        return false;
    if (last.code == EAGAIN)
        last.code = ENOMEM; /* mmap(2) of what is locked calls the limit that */
    char hard[sizeof HARD_REMEDY + 3 * sizeof(size_t)] = "";
    if (budget.hard > budget.soft && budget.hard != SIZE_MAX)
        (void)snprintf(hard, sizeof hard, HARD_REMEDY, budget.hard);
    say("%s: %zu bytes are needed, RLIMIT_MEMLOCK allows %zu and %zu are in use; " LOCK_REMEDY
        "%s",
        operation, needed, budget.soft, budget.in_use, hard);
    return true;
}

/* True, and said, where vm.max_map_count explains the refusal. */
static bool say_mapping_limit(const char *operation)
{
    struct smem_mapping_budget budget;
    if (smem_budget_of_mappings(&budget) != 0 ||
        budget.in_use + SMEM_MAPPINGS_A_SPLIT < budget.limit)
        return false;
    last.needed = SMEM_MAPPINGS_A_SPLIT;
    last.limit = budget.limit;
    last.in_use = budget.in_use;
    say("%s: vm.max_map_count allows %zu mappings and %zu are in use; raise it (sysctl "
        "vm.max_map_count) or free secrets",
        operation, budget.limit, budget.in_use);
    return true;
}

/* True, and said, where a limit explains the refusal. */
static bool say_limit(const char *operation, int kernel_code, size_t needed)
{
    if (is_lock(operation) && kernel_code == EPERM)
        return say_lock_limit(operation, needed); /* a limit of 0 */
    if (kernel_code != ENOMEM && kernel_code != EAGAIN)
        return false;
    if (say_mapping_limit(operation))
        return true;
    return (is_lock(operation) || kernel_code == EAGAIN) &&
           say_lock_limit(operation, needed);
}

static void say_refusal(const char *operation, int kernel_code, size_t needed)
{
    if (say_limit(operation, kernel_code, needed))
        return;
    const char *reason = strerror(kernel_code);
    switch (narrowed(kernel_code)) {
    case EPERM:
        say("%s: %s; a sandbox forbids it (seccomp, SystemCallFilter=): allow the call",
            operation, reason);
        break;
    case ENOTSUP:
        say("%s: %s; this kernel does not have it, or a sandbox hides it: make the "
            "protection preferred or off in the arena's options, or use a newer kernel",
            operation, reason);
        break;
    default:
        say("%s: %s for %zu bytes; free memory, or raise the memory limit of the process "
            "or its control group",
            operation, reason, needed);
    }
}

int smem_error_kernel(const char *operation, int kernel_code, size_t needed)
{
    int code = -kernel_code;
    if (holds > 0)
        return -narrowed(code);
    (void)record(operation, narrowed(code), code, needed);
    say_refusal(operation, code, needed);
    return -last.code;
}

int smem_error_argument(const char *operation, const char *text)
{
    return smem_error_own(operation, EINVAL, text);
}

int smem_error_own(const char *operation, int code, const char *text)
{
    if (holds > 0)
        return -code;
    int result = record(operation, code, 0, 0);
    say("%s: %s", operation, text);
    return result;
}

int smem_error_limit(const char *operation, int code, size_t needed, size_t limit,
                     size_t in_use, const char *sentence)
{
    if (holds > 0)
        return -code;
    int result = record(operation, code, 0, needed);
    last.limit = limit;
    last.in_use = in_use;
    say("%s: %s", operation, sentence);
    return result;
}

int smem_error_file(const char *operation, int code, int kernel_code, const char *name,
                    const char *remedy)
{
    if (holds > 0)
        return -code;
    int result = record(operation, code, kernel_code, 0);
    say("%s: %s: %s; %s", operation, name, strerror(kernel_code), remedy);
    return result;
}

int smem_error_unreadable(const char *path, int kernel_code)
{
    switch (kernel_code) {
    case -EACCES:
    case -EPERM:
        return smem_error_file(
            "open", EPERM, -kernel_code, path,
            "it belongs to root, since the process is not dumpable: make it so for a "
            "moment (PR_SET_DUMPABLE), or ask before it is hardened");
    case -EMFILE:
    case -ENFILE:
        return smem_error_file("open", EAGAIN, -kernel_code, path,
                               "close descriptors, or raise RLIMIT_NOFILE");
    case -ENOMEM:
        return smem_error_file("open", EAGAIN, -kernel_code, path, "free memory");
    default:
        return smem_error_file(
            "open", EPERM, -kernel_code, path,
            "mount /proc and let the process read its own files there");
    }
}

int smem_error_budget(size_t needed, size_t budget, size_t in_use)
{
    if (holds > 0)
        return -ENOMEM;
    int result = record("budget", ENOMEM, 0, needed);
    last.limit = budget;
    last.in_use = in_use;
    say("budget: %zu bytes are needed, the arena's budget allows %zu and %zu are in use; "
        "free secrets, or create the arena with a larger securemem_arena_options.budget",
        needed, budget, in_use);
    return result;
}
