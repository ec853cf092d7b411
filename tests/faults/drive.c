/* SPDX-License-Identifier: ISC */
#include "faults/drive.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/plans.h"
#include "faults/play.h"
#include "support/pace.h"
#include "support/view.h"

#define SECONDS_A_RUN 10U
#define MOST_WORKERS  4
#define MOST_PRINTED  40U

/* Secrets of a page and of six. */
#define SMALL 48
#define LARGE (5 * 4096 + 3)

/* After so many runs that left something, a fresh worker has its counts to itself. */
#define MOST_UNCLEAN 12

/* Shared with the worker. */
struct job {
    struct fault_state fault;
    const struct scenario *scenario;
    struct variant variant;
    unsigned long next; /* plan */
    struct fault_plan plan;
    bool done;
    unsigned findings;
    unsigned long points;
    pid_t worker;
};

static void print_finding(const struct job *job, const char *text)
{
    const struct fault_plan *plan = &job->plan;
    const struct variant *variant = &job->variant;
    fprintf(stderr,
            "FINDING: %s (%s, guards %s, fork %d, %zu bytes, %s): %s call %u gives %d%s",
            job->scenario->name,
            variant->policy == SECUREMEM_REQUIRED ? "required" : "preferred",
            variant->kind == SECUREMEM_GUARDS_REGION ? "region" : "prot_none",
            variant->fork, variant->size, variant->idle == 0 ? "no idle" : "idle",
            fault_name(plan->function), plan->call, plan->result,
            plan->onward ? " and so on" : "");
    if (plan->then != FAULT_FUNCTIONS)
        fprintf(stderr, ", then every %s gives %d", fault_name(plan->then),
                plan->then_result);
    fprintf(stderr, ": %s\n", text);
}

/* The plans from job->next on; returns where all are done or a fresh worker is better. */
static void work(struct job *job)
{
    unsigned calls[FAULT_FUNCTIONS];
    struct plans plans;
    unsigned unclean = 0;
    bool clean;
    fault_use(&job->fault);
    stage_make_elders(job->variant.kind);
    /* Twice: the first makes the pools, which stay; the second counts. */
    for (int i = 0; i < 2; i++) {
        job->plan = (struct fault_plan){.then = FAULT_FUNCTIONS};
        const char *wrong = play(job->scenario, &job->variant, &job->plan, &clean);
        if (wrong != NULL && i == 1) {
            print_finding(job, wrong);
            job->findings++;
            job->done = true;
            return;
        }
    }
    for (unsigned f = 0; f < FAULT_FUNCTIONS; f++)
        calls[f] = fault_calls((enum fault_function)f);

    plans_begin(&plans, calls, job->variant.idle == 0 && job->variant.size == SMALL);
    for (unsigned long i = 0; plans_next(&plans, &job->plan); i++) {
        if (i < job->next)
            continue;
        job->next = i + 1;
        alarm(SECONDS_A_RUN);
        const char *wrong = play(job->scenario, &job->variant, &job->plan, &clean);
        job->points += fault_was_hit();
        if (wrong != NULL) {
            print_finding(job, wrong);
            job->findings++;
        }
        unclean += !clean;
        if (unclean == MOST_UNCLEAN)
            return;
    }
    job->done = true;
}

static void start(struct job *job)
{
    fflush(NULL);
    pid_t worker = fork(); /* not into the job at once: the child shares it */
    if (worker < 0)
        abort();
    if (worker == 0) {
        work(job);
        fflush(NULL);
        _exit(0);
    }
    job->worker = worker;
}

/* A worker ended: goes on behind what killed it. True where the job is done. */
static bool proceed(struct job *job, int status)
{
    if (WIFSIGNALED(status)) {
        char text[80];
        snprintf(text, sizeof text, "the process was killed by signal %d",
                 WTERMSIG(status));
        print_finding(job, text);
        job->findings++;
        if (job->next == 0)
            job->done = true; /* without any fault */
    }
    return job->done || job->findings > MOST_PRINTED;
}

static struct job *job_of(struct job *jobs, pid_t worker)
{
    for (size_t i = 0; i < MOST_WORKERS; i++)
        if (jobs[i].worker == worker)
            return &jobs[i];
    abort();
}

/* Waits until a worker is done with its job, which is then free for another. */
static struct job *wait_for_job(struct job *jobs, struct tally *tally)
{
    for (;;) {
        int status;
        pid_t worker = wait(&status);
        if (worker < 0)
            abort();
        struct job *job = job_of(jobs, worker);
        if (!proceed(job, status)) {
            start(job);
            continue;
        }
        tally->points += job->points;
        tally->findings += job->findings;
        return job;
    }
}

/* The variants of a scenario, by number; false where there is none. */
static bool variant_of(const struct scenario *scenario, unsigned number,
                       struct variant *out)
{
    bool packed = scenario >= packed_scenarios &&
                  scenario < packed_scenarios + packed_scenario_count;
    bool forks = scenario >= fork_scenarios && scenario < fork_scenarios + 1;
    *out = (struct variant){
        .kind = number & 1 ? SECUREMEM_GUARDS_REGION : SECUREMEM_GUARDS_PROT_NONE,
        .size = number & 2 ? LARGE : SMALL,
        .policy = number & 4 ? SECUREMEM_PREFERRED : SECUREMEM_REQUIRED,
        .idle = number & 8 ? SIZE_MAX : 0,
        .fork = (securemem_fork)(number >> 4),
        .placement = packed ? SECUREMEM_PACKED : SECUREMEM_GUARDED,
    };
    return number < (forks ? 48U : 16U);
}

size_t drive_stride(void)
{
    return pace() > 1 ? 3 : 1;
}

void drive(const struct scenario *scenarios, size_t count, struct tally *tally)
{
    struct job *jobs = mmap(NULL, MOST_WORKERS * sizeof *jobs, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (jobs == MAP_FAILED)
        abort();
    bool regions = view_guard_regions_exist();
    size_t workers = (size_t)sysconf(_SC_NPROCESSORS_ONLN), busy = 0;
    workers = workers > MOST_WORKERS ? MOST_WORKERS : workers;
    for (size_t i = 0; i < count; i++) {
        struct variant variant;
        for (unsigned number = 0; variant_of(&scenarios[i], number, &variant); number++) {
            if ((i + number) % drive_stride() != 0) /* of each scenario others */
                continue;
            if ((variant.policy != SECUREMEM_REQUIRED && scenarios[i].preferred_no) ||
                (variant.kind == SECUREMEM_GUARDS_REGION && !regions))
                continue;
            struct job *job = busy < workers ? &jobs[busy++] : wait_for_job(jobs, tally);
            *job = (struct job){.scenario = &scenarios[i], .variant = variant};
            start(job);
        }
    }
    for (; busy > 0; busy--)
        wait_for_job(jobs, tally)->worker = 0;
    munmap(jobs, MOST_WORKERS * sizeof *jobs);
}

const char *drive_once(const struct scenario *scenario, const struct variant *variant)
{
    const struct fault_plan none = {.then = FAULT_FUNCTIONS};
    bool clean;
    return play(scenario, variant, &none, &clean);
}
