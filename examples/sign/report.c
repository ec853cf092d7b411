/* SPDX-License-Identifier: ISC */
#include "report.h"

#include <securemem.h>
#include <stdbool.h>
#include <string.h>

static const char *policy_name(securemem_policy policy)
{
    switch (policy) {
    case SECUREMEM_REQUIRED:
        return "required";
    case SECUREMEM_PREFERRED:
        return "preferred";
    case SECUREMEM_OFF:
        return "off";
    case SECUREMEM_DEFAULT:
        break; /* a report names what it stands for */
    }
    return "?";
}

static const char *access_name(securemem_access access)
{
    switch (access) {
    case SECUREMEM_NONE:
        return "closed";
    case SECUREMEM_READ:
        return "readable";
    case SECUREMEM_WRITE:
        return "writable";
    }
    return "?";
}

static const char *fork_name(securemem_fork fork)
{
    switch (fork) {
    case SECUREMEM_FORK_WIPE:
        return "a forked child reads zeros";
    case SECUREMEM_FORK_DROP:
        return "a forked child has no such page";
    case SECUREMEM_FORK_KEEP:
        return "a forked child has it, locked";
    }
    return "?";
}

/* One row. False where what was required does not hold. */
static bool row(FILE *out, const char *name, const securemem_protection_state *state)
{
    (void)fprintf(out, "  %-32s%-11s%-7s%s\n", name, policy_name(state->asked),
                  state->holds ? "yes" : "no",
                  state->refused == 0 ? "-" : strerror(state->refused));
    return state->asked != SECUREMEM_REQUIRED || state->holds;
}

const char *report_protection(FILE *out, const void *secret)
{
    securemem_protection now;
    if (securemem_protection(secret, &now) != 0)
        return securemem_last_error()->message;
    (void)fprintf(out, "the key: %zu bytes, now %s; witness: %s\n", now.size,
                  access_name(now.access),
                  now.witness == SECUREMEM_WITNESS_SMAPS ? "/proc/self/smaps"
                                                         : "what the kernel accepted");
    (void)fprintf(out, "  %-32s%-11s%-7s%s\n", "protection", "asked", "holds", "refused");
    bool good = row(out, "never swapped (lock)", &now.lock);
    good &= row(out, "a guard page on either side", &now.guards);
    good &= row(out, "not in core dumps", &now.no_dump);
    good &= row(out, fork_name(now.fork), &now.fork_safety);
    good &= row(out, "never merged with another page", &now.no_merge);
    if (fflush(out) != 0 || ferror(out))
        return "the table of its protections cannot be printed";
    return good ? NULL : "a protection that was required does not hold";
}
