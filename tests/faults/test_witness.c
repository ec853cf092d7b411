/* SPDX-License-Identifier: ISC */
/*
 * The first section of a thread and an audit while every call to the kernel fails in turn:
 * what a section tells is true by the witness that it names, a refused audit tells nothing,
 * and neither a descriptor nor a handler is left behind.
 */
#include <errno.h>
#include <pthread.h>
#include <securemem.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/trials.h"
#include "support/fresh.h"
#include "support/need.h"
#include "support/view.h"

#define PAGES 8

static securemem_rt_section section;
static char *planted;
static bool traps, forks;
static struct fault_plan plan; /* of this trial */

/* What the thread saw. */
static int began, ended;
static bool faulted_before, faulted_after;

/* Whether maps has a mapping of that name. */
static bool is_mapped(const char *name)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    NEED(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        found = found || strstr(line, name) != NULL;
    NEED(fclose(maps) == 0);
    return found;
}

/*
 * In a child, whose parent's section has begun. Where the place of the ring could not be
 * filled, the child cannot look at that section.
 */
static void live_in_child(void)
{
    static struct fault_state calm; /* the parent goes on with its own */
    bool filled = !fault_was_hit() ||
                  (plan.function != FAULT_RESERVE_AT && plan.function != FAULT_PROTECT);
    fault_use(&calm);
    NEED(!filled || !securemem_rt_section_faulted(&section));
    NEED(securemem_rt_section_end(&section) == -EINVAL);
    char *memory = fresh(PAGES);
    securemem_rt_section own = {0};
    NEED(securemem_rt_section_begin(&own) == 0);
    memory[0] = 1;
    NEED(securemem_rt_section_end(&own) == 0);
    NEED(own.user_minor > 0 || own.witness != SECUREMEM_RT_WITNESS_PERF);
    _exit(0);
}

static void *run_section(void *argument)
{
    size_t page = view_page_size();
    section = (securemem_rt_section){.flags = traps ? SECUREMEM_RT_TRAP : 0,
                                     .trap = SECUREMEM_RT_TRAP_COUNT};
    began = ended = 0; /* a page that was shared with the parent is copied now */
    faulted_before = faulted_after = false;
    began = securemem_rt_section_begin(&section);
    faulted_before = securemem_rt_section_faulted(&section);
    if (forks) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            live_in_child();
        NEED(child > 0 && waitpid(child, &status, 0) == child);
        NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (size_t i = 0; i < PAGES; i++)
        planted[i * page] = 1;
    faulted_after = securemem_rt_section_faulted(&section);
    ended = securemem_rt_section_end(&section);
    return argument;
}

static void run_in_thread(void)
{
    pthread_t thread;
    planted = fresh(PAGES);
    NEED(pthread_create(&thread, NULL, run_section, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
}

static size_t records_of_planted(void)
{
    size_t found = 0, page = view_page_size();
    for (size_t i = 0; i < section.recorded; i++)
        found += section.faults[i].address - (uintptr_t)planted < PAGES * page;
    return found;
}

/* What it tells is true, or it says that it has nothing to tell. */
static void need_truth(void)
{
    uint64_t own = section.user_minor + section.user_major;
    NEED(ended == 0);
    switch (section.witness) {
    case SECUREMEM_RT_WITNESS_PERF:
        NEED((forks || !faulted_before) && faulted_after);
        NEED(own >= PAGES && (forks || own == section.recorded + section.lost));
        NEED(records_of_planted() == PAGES);
        NEED(!traps || (section.trapped >= PAGES && section.trapped <= own));
        break;
    case SECUREMEM_RT_WITNESS_RUSAGE:
        NEED(own == 0 && section.system >= PAGES && section.recorded == 0);
        NEED(!faulted_before && !faulted_after);
        break;
    case SECUREMEM_RT_WITNESS_NONE:
        NEED(own == 0 && section.system == 0 && section.populated == 0);
        NEED(plan.function == FAULT_THREAD_FAULTS || plan.function == FAULT_PERF_COUNTS ||
             plan.function == FAULT_READ);
        break;
    }
}

static void need_refusal(int result)
{
    NEED(result == -EPERM || result == -ENOTSUP || result == -EAGAIN ||
         result == -ENOMEM);
    NEED(!faulted_before && !faulted_after && ended == -EINVAL);
}

static int try_section(void)
{
    struct sigaction before, now;
    size_t descriptors = view_descriptors();
    NEED(sigaction(SIGTRAP, NULL, &before) == 0);
    fault_arm(&plan);
    run_in_thread();
    fault_disarm();
    if (began == 0)
        need_truth();
    else
        need_refusal(began);
    NEED(view_descriptors() == descriptors);
    NEED(plan.function == FAULT_UNMAP || !is_mapped("[perf_event]"));
    NEED(sigaction(SIGTRAP, NULL, &now) == 0);
    NEED(now.sa_handler == before.sa_handler || plan.function == FAULT_UNSET_TRAP);
    /* A refusal does not last. */
    forks = false;
    run_in_thread();
    NEED(began == 0 && section.witness == SECUREMEM_RT_WITNESS_PERF);
    need_truth();
    return 0;
}

static securemem_rt_audit_report audit, reference;

/*
 * An audit's own stack and both reports: what the first audit finds not present and the
 * second brings in would be a difference.
 */
static void warm_up(void)
{
    memset(&audit, 1, sizeof audit);
    memset(&reference, 1, sizeof reference);
    volatile char block[64 * 1024];
    for (size_t at = sizeof block; at > 0; at -= 1024)
        block[at - 1] = 0;
}

static int try_audit(void)
{
    warm_up();
    fault_arm(&plan);
    int result = securemem_rt_audit(&audit);
    fault_disarm();
    bool hit = fault_was_hit();
    if (result != 0) {
        NEED(result == -EPERM || result == -EAGAIN);
        NEED(audit.count == 0 && audit.bytes == 0);
        NEED(audit.not_present == 0 && audit.shared == 0 && audit.charged == 0);
        NEED(securemem_last_error()->code == -result);
    }
    NEED(securemem_rt_audit(&reference) == 0);
    if (result != 0 || (hit && plan.function == FAULT_READ && plan.result == 0))
        return 0; /* a file that ends early is not known to be cut */
    NEED(audit.bytes == reference.bytes && audit.mappings == reference.mappings);
    /* What is shared with the process that forked this one changes when that one writes. */
    NEED(audit.not_present == reference.not_present);
    NEED(audit.swapped == reference.swapped);
    NEED(audit.not_locked >= reference.not_locked);
    NEED(!hit || plan.function != FAULT_SCAN_PAGES || !audit.scanned);
    return 0;
}

struct act {
    const char *name;
    int (*act)(void);
    bool traps, forks;
};

static const struct act acts[] = {
    {"the first section of a thread", try_section, false, false},
    {"the first one that traps", try_section, true, false},
    {"a fork in the first one", try_section, false, true},
    {"an audit", try_audit, false, false},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
};

/* In a child that has never had a witness. */
static int try_one(void *argument)
{
    const struct trial *trial = argument;
    plan = *trial->plan;
    traps = trial->act->traps;
    forks = trial->act->forks;
    return trial->act->act();
}

static int skip_without_perf(void *argument)
{
    (void)argument;
    NEED(securemem_rt_section_begin(&section) == 0);
    NEED(securemem_rt_section_end(&section) == 0);
    return section.witness == SECUREMEM_RT_WITNESS_PERF ? 0 : SKIP_EXIT;
}

static int skip_without_traps(void *argument)
{
    (void)argument;
    traps = true;
    run_in_thread();
    return section.witness == SECUREMEM_RT_WITNESS_PERF ? 0 : SKIP_EXIT;
}

static void try_all(const struct act *act)
{
    struct trial trial = {.act = act, .plan = trials_plan()};
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = false};
    snprintf(trials.name, sizeof trials.name, "%s", act->name);
    assert_true(trials_run(&trials));
}

static void sections_and_audits_under_every_fault_tell_the_truth(void **state)
{
    (void)state;
    if (child_skips(skip_without_perf, NULL))
        SKIP("perf_event_open is refused here");
    bool no_traps = child_skips(skip_without_traps, NULL);
    if (no_traps)
        printf(
            "SKIP: sections that trap: SIGTRAP of page faults (Linux 5.13) is refused here\n");
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!acts[i].traps || !no_traps)
            try_all(&acts[i]);
    trials_end(100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_and_audits_under_every_fault_tell_the_truth),
    };
    return RUN_GROUP(tests);
}
