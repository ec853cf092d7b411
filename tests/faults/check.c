/* SPDX-License-Identifier: ISC */
#include "faults/check.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/smaps.h"
#include "support/view.h"

#define LARGEST_SECRET (64UL * 1024)

void holdings_take(struct holdings *out)
{
    *out = (struct holdings){.locked = view_locked_bytes(),
                             .mappings = view_mappings(),
                             .descriptors = view_descriptors()};
}

const char *check_holdings(const struct holdings *before, bool unmap_refused)
{
    static char text[160];
    struct holdings now;
    holdings_take(&now);
    if (now.locked == before->locked && now.descriptors == before->descriptors &&
        (now.mappings == before->mappings ||
         (unmap_refused && now.mappings > before->mappings)))
        return NULL;
    snprintf(text, sizeof text,
             "locked bytes, mappings, descriptors are %zu %zu %zu and were %zu %zu %zu",
             now.locked, now.mappings, now.descriptors, before->locked, before->mappings,
             before->descriptors);
    return text;
}

void check_mark_error(void)
{
    (void)securemem_size(NULL);
}

bool check_error_is_new(void)
{
    return securemem_last_error()->code != EINVAL;
}

static bool names_a_remedy(const char *message)
{
    static const char *const words[] = {"raise",   "allow",  "free ",    "make ",
                                        "mount",   "use a ", "emulator", "grant",
                                        "sandbox", "load "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(message, words[i]) != NULL)
            return true;
    return false;
}

const char *check_error(int refused)
{
    static char text[600];
    const securemem_error *error = securemem_last_error();
    if (refused != ENOMEM && refused != EPERM && refused != ENOTSUP &&
        refused != EAGAIN) {
        snprintf(text, sizeof text, "errno %d is not in the documented set", refused);
        return text;
    }
    if (!check_error_is_new())
        return "the refusal left no record";
    if (error->code != refused) {
        snprintf(text, sizeof text, "errno is %d, the record says %d: %s", refused,
                 error->code, error->message);
        return text;
    }
    if (error->operation == NULL || error->operation[0] == '\0')
        return "the record names no operation";
    if (strncmp(error->message, error->operation, strlen(error->operation)) != 0 ||
        strchr(error->message, '\n') != NULL || !names_a_remedy(error->message)) {
        snprintf(text, sizeof text, "the message names no operation or no remedy: %s",
                 error->message);
        return text;
    }
    return NULL;
}

/* The set that the library narrows the kernel's answers to (error.h). */
static int narrowed(int code)
{
    return code == EACCES ? EPERM : code == ENOSYS || code == EINVAL ? ENOTSUP : code;
}

static const char *check_state(const char *name, securemem_protection_state says,
                               bool holds, bool required, int allowed)
{
    static char text[160];
    if (says.holds != holds)
        snprintf(text, sizeof text, "%s: protection says %d and the kernel %d", name,
                 says.holds, holds);
    else if (!holds && required)
        snprintf(text, sizeof text, "%s is required and does not hold", name);
    else if (!holds && allowed >= 0 && says.asked != SECUREMEM_OFF &&
             (says.refused == 0 || (allowed > 0 && says.refused != narrowed(allowed))))
        snprintf(text, sizeof text, "%s was refused with %d and protection says %d", name,
                 allowed, says.refused);
    else
        return NULL;
    return text;
}

static const char *check_contents(const struct expected *secret)
{
    static unsigned char bytes[LARGEST_SECRET];
    if (!smaps_bytes(secret->at, bytes, secret->size))
        return "the secret is not mapped";
    for (size_t i = 0; i < secret->size; i++)
        if (bytes[i] != (i < secret->filled ? secret->fill : 0))
            return "the secret's contents changed";
    return NULL;
}

static bool access_is(const char *permissions, securemem_access access)
{
    static const char *const letters[] = {
        [SECUREMEM_NONE] = "---p", [SECUREMEM_READ] = "r--p", [SECUREMEM_WRITE] = "rw-p"};
    return strcmp(permissions, letters[access]) == 0;
}

/* A run of pages ends where its pages cannot be read any more. */
static bool ends_are_closed(const struct smaps_entry *entry)
{
    const struct smaps_entry *first = entry, *last = entry;
    while (first != NULL && first->permissions[0] == 'r')
        first = smaps_at((const void *)(first->start - 1));
    while (last != NULL && last->permissions[0] == 'r')
        last = smaps_at((const void *)last->end);
    return first != NULL && last != NULL;
}

/* What the kernel says of the pages that hold the secret, and of the guards. */
static bool look(const void *secret, size_t size, struct smaps_entry *out, bool *guarded)
{
    uintptr_t page = view_page_size();
    uintptr_t first = (uintptr_t)secret / page * page;
    uintptr_t end = ((uintptr_t)secret + size + page - 1) / page * page;
    *guarded = !view_readable((void *)(first - 1)) && !view_readable((void *)end);
    return smaps_range((void *)first, end - first, out);
}

static const char *compare(const void *secret, size_t size, bool required, int allowed)
{
    struct smaps_entry flags;
    bool guarded;
    securemem_protection says;
    if (!look(secret, size, &flags, &guarded))
        return "the secret is not mapped";
    if (securemem_protection(secret, &says) != 0)
        return "protection does not know the secret";
    if (says.placement == SECUREMEM_PACKED)
        guarded = ends_are_closed(smaps_at(secret));
    if (!access_is(flags.permissions, says.access))
        return "access: protection and the kernel differ";
    const char *wrong = check_state("lock", says.lock, flags.locked, required, allowed);
    /* Beside a slot without guards there may be a page without access, by chance. */
    bool by_chance = says.guard_kind == SECUREMEM_GUARDS_AUTO && says.guards.holds == 0;
    if (wrong == NULL)
        wrong =
            check_state("guards", says.guards, guarded && !by_chance, required, allowed);
    if (wrong == NULL)
        wrong = check_state("no_dump", says.no_dump, flags.not_dumped, required, allowed);
    if (wrong == NULL)
        wrong =
            check_state("no_merge", says.no_merge, !flags.mergeable, required, allowed);
    if (wrong == NULL && says.fork != SECUREMEM_FORK_KEEP)
        wrong =
            check_state("fork_safety", says.fork_safety,
                        says.fork == SECUREMEM_FORK_WIPE ? flags.wiped : flags.not_forked,
                        required, allowed);
    return wrong;
}

const char *check_report(const void *secret, size_t size)
{
    return compare(secret, size, false, -1);
}

const char *check_secret(const struct expected *secret, securemem_policy policy,
                         securemem_fork fork, int allowed)
{
    securemem_protection says;
    const char *wrong = check_contents(secret);
    if (wrong == NULL)
        wrong = compare(secret->at, secret->size, policy == SECUREMEM_REQUIRED, allowed);
    if (wrong != NULL)
        return wrong;
    if (securemem_protection(secret->at, &says) != 0 || says.fork != fork ||
        says.lock.asked != policy || says.size != secret->size)
        return "protection describes another secret";
    if (says.access != secret->access)
        return "the access is not what was set";
    return NULL;
}

const char *check_stage(const struct stage *stage, int allowed)
{
    size_t count;
    const struct expected *elders = stage_elders(&count);
    for (size_t i = 0; i < count; i++) {
        static char text[200];
        const char *wrong =
            check_secret(&elders[i], SECUREMEM_REQUIRED, SECUREMEM_FORK_WIPE, 0);
        if (wrong != NULL) {
            snprintf(text, sizeof text, "elder secret %zu: %s", i, wrong);
            return text;
        }
    }
    for (size_t i = 0; i < stage->count; i++) {
        const char *wrong = check_secret(&stage->secrets[i], stage->variant.policy,
                                         stage->variant.fork, allowed);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *check_freed(const struct expected *secret, bool *held)
{
    static unsigned char bytes[LARGEST_SECRET];
    *held = false;
    size_t left = 0;
    if (smaps_bytes(secret->at, bytes, secret->size))
        for (size_t i = 0; i < secret->size; i++)
            left += secret->filled > 0 && bytes[i] == secret->fill;
    if (left == 0)
        return NULL;
    *held = true;
    struct smaps_entry flags;
    bool guarded;
    if (!look(secret->at, secret->size, &flags, &guarded))
        return "a freed secret is half mapped";
    if (!flags.locked || !guarded || !flags.not_dumped ||
        !access_is(flags.permissions, secret->access))
        return "a secret that could not be wiped is not locked, guarded and closed";
    if (!check_error_is_new())
        return "a secret could not be wiped and no record says so";
    return NULL;
}
