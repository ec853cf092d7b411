/* SPDX-License-Identifier: ISC */
#include "secret/options.h"

#include <stdbool.h>
#include <stddef.h>

#include "region/error.h"

#define POLICY(field, by_default)                                                        \
    {                                                                                    \
        offsetof(securemem_arena_options, field), by_default,                            \
            "." #field " is not one of securemem_policy"                                 \
    }

static const struct {
    size_t offset;
    securemem_policy by_default;
    const char *wrong;
} policies[] = {
    POLICY(lock, SECUREMEM_REQUIRED),     POLICY(guards, SECUREMEM_REQUIRED),
    POLICY(no_dump, SECUREMEM_REQUIRED),  POLICY(fork_safety, SECUREMEM_REQUIRED),
    POLICY(no_merge, SECUREMEM_REQUIRED), POLICY(canaries, SECUREMEM_REQUIRED),
    POLICY(secret_memory, SECUREMEM_OFF), POLICY(protection_key, SECUREMEM_OFF),
};

/* Defaults become what they stand for. What is wrong with a policy, if one is none. */
static const char *settle_policies(securemem_arena_options *options)
{
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        void *field = (char *)options + policies[i].offset;
        securemem_policy *policy = field;
        if ((unsigned)*policy > SECUREMEM_OFF)
            return policies[i].wrong;
        if (*policy == SECUREMEM_DEFAULT)
            *policy = policies[i].by_default;
    }
    return NULL;
}

static bool is_zero(const uint64_t *words, size_t count)
{
    uint64_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= words[i];
    return any == 0;
}

/* What secret memory, which is shared memory, cannot be. */
static const char *unfit_for_secret_memory(const securemem_arena_options *options)
{
    if (options->fork != SECUREMEM_FORK_DROP ||
        options->fork_safety != SECUREMEM_REQUIRED)
        return ".secret_memory is shared memory, which a child can neither have wiped nor "
               "of its own: set .fork to SECUREMEM_FORK_DROP, and leave .fork_safety required";
    if (options->guard_kind == SECUREMEM_GUARDS_REGION)
        return ".secret_memory takes no guard regions: leave .guard_kind to "
               "SECUREMEM_GUARDS_AUTO";
    return NULL;
}

int smem_options_settle(securemem_arena_options *options)
{
    static const char operation[] = "securemem_arena_create";
    const char *wrong = settle_policies(options);
    if (wrong != NULL)
        return smem_error_argument(operation, wrong);
    if ((unsigned)options->fork > SECUREMEM_FORK_KEEP)
        return smem_error_argument(operation, ".fork is not one of securemem_fork");
    if ((unsigned)options->guard_kind > SECUREMEM_GUARDS_REGION)
        return smem_error_argument(operation,
                                   ".guard_kind is not one of securemem_guard_kind");
    if (!is_zero(options->reserved, sizeof options->reserved / sizeof *options->reserved))
        return smem_error_argument(operation, ".reserved is not zero");
    if ((unsigned)options->placement > SECUREMEM_PACKED)
        return smem_error_argument(operation, ".placement is not one of "
                                              "securemem_placement");
    if (options->secret_memory != SECUREMEM_OFF) {
        const char *other = unfit_for_secret_memory(options);
        if (other != NULL)
            return smem_error_argument(operation, other);
    }
    if (options->low > 0 && options->on_low == NULL)
        return smem_error_argument(operation, ".low is set, but not .on_low");
    if (options->low == 0 && options->on_low != NULL)
        return smem_error_argument(operation, ".on_low is set, but not .low: it would "
                                              "never be called");
    return 0;
}
