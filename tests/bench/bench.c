/* SPDX-License-Identifier: ISC */
/*
 * bench [--brief] [SVG]: what a guarded secret costs, beside plain malloc with a wipe and
 * libsodium's sodium_malloc, in one process and interleaved; and how many fit.
 *
 * The machine is noisy: medians over rounds are printed, and ratios are what to quote.
 */
#include <securemem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

#define ROUNDS_MAX 15

static securemem_arena *keeping;   /* idle memory is kept */
static securemem_arena *returning; /* each free goes back to the kernel */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "bench: %s\n", securemem_last_error()->message);
        exit(1);
    }
    return memory;
}

static void with_malloc(size_t size)
{
    void *memory = need(malloc(size));
    memset(memory, 1, size);
    explicit_bzero(memory, size);
    free(memory);
}

static void with_sodium(size_t size)
{
    void *memory = need(sodium_malloc(size));
    memset(memory, 1, size);
    sodium_free(memory);
}

static void with_keeping(size_t size)
{
    void *memory = need(securemem_arena_alloc(keeping, size));
    memset(memory, 1, size);
    securemem_free(memory);
}

static void with_returning(size_t size)
{
    void *memory = need(securemem_arena_alloc(returning, size));
    memset(memory, 1, size);
    securemem_free(memory);
}

static void with_default(size_t size)
{
    void *memory = need(securemem_alloc(size));
    memset(memory, 1, size);
    securemem_free(memory);
}

static double time_of(void (*operation)(size_t), size_t size, int repeats)
{
    double start = now();
    for (int i = 0; i < repeats; i++)
        operation(size);
    return (now() - start) / repeats;
}

static void compare_costs(struct report *report, int rounds, int repeats)
{
    static void (*const operations[REPORT_PEERS])(size_t) = {
        with_malloc, with_sodium, with_default, with_returning, with_keeping};
    static const bool by_system_call[REPORT_PEERS] = {false, true, true, true, false};
    double samples[ROUNDS_MAX];
    for (size_t s = 0; s < REPORT_SIZES; s++)
        for (size_t p = 0; p < REPORT_PEERS; p++)
            report->nanoseconds[p][s] = 0;
    static double all[REPORT_PEERS][REPORT_SIZES][ROUNDS_MAX];
    for (int r = 0; r < rounds; r++)
        for (size_t s = 0; s < REPORT_SIZES; s++)
            for (size_t p = 0; p < REPORT_PEERS; p++)
                all[p][s][r] = time_of(operations[p], report->sizes[s],
                                       by_system_call[p] ? repeats / 50 + 1 : repeats);
    for (size_t s = 0; s < REPORT_SIZES; s++)
        for (size_t p = 0; p < REPORT_PEERS; p++) {
            memcpy(samples, all[p][s], sizeof samples);
            report->nanoseconds[p][s] = report_median(samples, (size_t)rounds);
        }
}

static securemem_budget_report budget(void)
{
    securemem_budget_report report;
    if (securemem_budget(&report) != 0) {
        fprintf(stderr, "bench: %s\n", securemem_last_error()->message);
        exit(1);
    }
    return report;
}

/* Allocates until count or a refusal; says what that took of time, locks and mappings. */
static void fill(size_t count)
{
    securemem_budget_report before = budget();
    securemem_arena *arena = need(securemem_arena_create(NULL));
    double start = now();
    size_t made = 0;
    while (made < count && securemem_arena_alloc(arena, 32) != NULL)
        made++;
    double each = made == 0 ? 0 : (now() - start) / (double)made;
    securemem_budget_report full = budget();
    start = now();
    securemem_arena_destroy(arena);
    double end = made == 0 ? 0 : (now() - start) / (double)made;
    printf(
        "%9zu of %zu guarded secrets of 32 B: %zu mappings, %zu MiB locked, %.0f ns each "
        "to make, %.0f ns to destroy\n",
        made, count, full.mappings - before.mappings,
        (full.charged_process - before.charged_process) >> 20, each, end);
    if (made < count)
        printf("          then: %s\n", securemem_last_error()->message);
}

int main(int argc, char **argv)
{
    bool brief = argc > 1 && strcmp(argv[1], "--brief") == 0;
    const char *picture = argc > 1 + brief ? argv[1 + brief] : NULL;
    if (sodium_init() < 0)
        return 1;
    keeping = need(securemem_arena_create(&(securemem_arena_options){.idle = SIZE_MAX}));
    returning = need(securemem_arena_create(NULL));
    void *pinned = need(securemem_arena_alloc(returning, 32)); /* its regions stay */

    struct report report = {
        .sizes = {32, 256, 4096, 65536},
        .peers = {"malloc + explicit_bzero", "sodium_malloc", "securemem, alone",
                  "securemem, others live", "securemem, idle kept"},
    };
    compare_costs(&report, brief ? 3 : ROUNDS_MAX, brief ? 200 : 20000);
    report_print(&report);
    securemem_free(pinned);

    printf("\n");
    fill(1000);
    fill(brief ? 5000 : 100000);
    if (!brief)
        fill(1000000);
    if (picture != NULL && !report_draw(&report, picture)) {
        perror(picture);
        return 1;
    }
    securemem_arena_destroy(returning);
    securemem_arena_destroy(keeping);
    return 0;
}
