/* SPDX-License-Identifier: ISC */
#include "realtime.h"

#include <securemem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "work.h"

#define MOST    101
#define AT_ONCE 1000
#define CHECKS  1000000

static securemem_rt_section section;
static securemem_rt_audit_report audit;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds that one of count repetitions takes, as the median of runs. */
static double median(bool (*act)(size_t count), size_t count, size_t runs)
{
    double times[MOST];
    runs = runs < MOST ? runs : MOST;
    for (size_t i = 0; i < runs; i++) {
        double start = work_now();
        if (!act(count))
            return 0;
        times[i] = (work_now() - start) / (double)count;
    }
    qsort(times, runs, sizeof *times, compare);
    return times[runs / 2];
}

static bool run_sections(size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (securemem_rt_section_begin(&section) != 0 ||
            securemem_rt_section_end(&section) != 0)
            return false;
    return true;
}

static bool run_checks(size_t count)
{
    size_t seen = 0;
    if (securemem_rt_section_begin(&section) != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        seen += securemem_rt_section_faulted(&section);
    return securemem_rt_section_end(&section) == 0 && seen < count;
}

static bool run_audits(size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (securemem_rt_audit(&audit) != 0)
            return false;
    return true;
}

static bool run_modes(size_t count)
{
    static const securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
    for (size_t i = 0; i < count; i++)
        if (securemem_rt_enter(&plan) != 0 || securemem_rt_leave() != 0)
            return false;
    return true;
}

static void print(const char *what, double nanoseconds)
{
    if (nanoseconds <= 0)
        printf("%-44s%12s: %s\n", what, "-", securemem_last_error()->message);
    else if (nanoseconds < 100000)
        printf("%-44s%12.1f ns\n", what, nanoseconds);
    else
        printf("%-44s%12.2f ms\n", what, nanoseconds / 1e6);
}

void realtime_print(size_t runs, size_t bytes)
{
    char what[64];
    printf("\nDeterministic mode\n\n");
    print("section begin and end", median(run_sections, AT_ONCE, runs));
    print("the check inside of a section", median(run_checks, CHECKS, runs));
    print("enter and leave, everything", median(run_modes, 1, runs));
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    memset(memory, 1, bytes);
    snprintf(what, sizeof what, "audit of a process of %zu MiB", bytes >> 20);
    print(what, median(run_audits, 1, runs));
    munmap(memory, bytes);
}
