/* SPDX-License-Identifier: ISC */
/*
 * Scenarios: fork(2) in a program with secrets. The child's half of the library works
 * under the faults; then the child looks at itself, without them, and tells the parent.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/check.h"
#include "faults/plans.h"
#include "faults/scenario.h"
#include "faults/wrap.h"
#include "support/smaps.h"
#include "support/view.h"

static char told[200];

static void some(struct stage *stage)
{
    for (int i = 0; i < 3; i++)
        stage_add(stage, stage->variant.size);
    if (securemem_set_access(stage->secrets[0].at, SECUREMEM_NONE) == 0)
        stage->secrets[0].access = SECUREMEM_NONE;
    securemem_free(stage->secrets[2].at);
    stage->count = 2;
}

static size_t bytes_left(const struct expected *secret)
{
    unsigned char byte;
    size_t left = 0;
    for (size_t i = 0; i < secret->size; i += secret->size - 1)
        left += smaps_bytes(secret->at + i, &byte, 1) && byte != 0;
    return left;
}

static const char *check_inherited(const struct expected *secret, securemem_fork fork)
{
    struct smaps_entry flags;
    securemem_protection says;
    if (securemem_protection(secret->at, &says) != 0)
        return "the child does not know a secret";
    bool mapped = smaps_range(secret->at, secret->size, &flags);
    if (fork == SECUREMEM_FORK_DROP)
        return bytes_left(secret) != 0 || view_readable(secret->at)
                   ? "the child has a secret that it may not have"
                   : NULL;
    if (fork == SECUREMEM_FORK_WIPE && bytes_left(secret) != 0)
        return "the child's secret is not zeros";
    if (fork == SECUREMEM_FORK_KEEP && mapped && !flags.locked && bytes_left(secret) != 0)
        return "the child keeps a secret without a lock";
    if (fork == SECUREMEM_FORK_KEEP && !mapped)
        return says.lock.holds ? "a secret without pages is said to be locked" : NULL;
    if (fork == SECUREMEM_FORK_KEEP &&
        (says.inheritance == SECUREMEM_KEPT_WIPED) != (bytes_left(secret) == 0))
        return "the child's secret is not what its inheritance says";
    if (!says.lock.holds && says.lock.refused == 0)
        return "the child's lock was refused and nothing says why";
    return check_report(secret->at, secret->size);
}

static const char *check_child(struct stage *stage)
{
    size_t count;
    const struct expected *elders = stage_elders(&count);
    const char *wrong = NULL;
    smaps_read();
    for (size_t i = 0; i < count && wrong == NULL; i++)
        wrong = check_inherited(&elders[i], SECUREMEM_FORK_WIPE);
    for (size_t i = 0; i < stage->count && wrong == NULL; i++)
        wrong = check_inherited(&stage->secrets[i], stage->variant.fork);
    if (wrong != NULL)
        return wrong;

    unsigned char *own = securemem_arena_alloc(stage->arena, stage->variant.size);
    if (own == NULL)
        return "the child cannot have a secret of its own";
    smaps_read();
    struct expected expected = {
        .at = own, .size = stage->variant.size, .access = SECUREMEM_WRITE};
    wrong = check_secret(&expected, stage->variant.policy, stage->variant.fork, 0);
    if (wrong != NULL)
        return wrong;

    /* The child may free what it inherited; with it the account is empty again. */
    securemem_free(stage->secrets[0].at);
    securemem_arena_destroy(stage->arena);
    securemem_budget_report says;
    if (securemem_budget(&says) != 0 || says.secrets != count)
        return "the child's account counts secrets that have ended";
    if (plan_is_single(fault_plan()) && says.charged != view_locked_bytes())
        return "the child's account of locked bytes is not the kernel's";
    return NULL;
}

static int in_fork(struct stage *stage, const char **wrong)
{
    int ends[2];
    if (pipe(ends) != 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        fault_disarm();
        const char *text = check_child(stage);
        if (text != NULL && write(ends[1], text, strlen(text)) < 0)
            _exit(2);
        _exit(0);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], told, sizeof told - 1);
    close(ends[0]);
    int status;
    if (waitpid(child, &status, 0) != child)
        *wrong = "the child is lost";
    else if (length > 0) {
        told[length] = '\0';
        *wrong = told;
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        *wrong = "the child was killed";
    return 0;
}

const struct scenario fork_scenarios[] = {
    {"fork", some, in_fork, false, false},
};
const size_t fork_scenario_count = 1;
