/* SPDX-License-Identifier: ISC */
#include "scratch.h"

#include <securemem.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "work.h"

#define MOST      101
#define LARGEST   ((size_t)64 << 10)
#define ALTERNATE ((size_t)64 << 10)

static char wiped[LARGEST];
static char alternate[ALTERNATE];

/* Functions that write so much of their stack. */
static void use_little(void *argument)
{
    *(volatile int *)argument += 1;
}

#define USE(name, bytes)                                                                 \
    static void name(void *argument)                                                     \
    {                                                                                    \
        char local[bytes];                                                               \
        memset(local, 1, sizeof local);                                                  \
        __asm__ volatile("" : : "r"(local) : "memory");                                  \
        use_little(argument);                                                            \
    }
USE(use_4k, 4096)
USE(use_64k, LARGEST)

/* How a row is done: a plain call, one and its wiping by hand, or a scratch call. */
enum way { QUERY, CLEAR, PLAIN, PLAIN_AND_WIPE, SCRATCH, SCRATCH_ALTERNATE };

struct row {
    const char *name;
    enum way way;
    void (*function)(void *argument);
    size_t used, asked; /* bytes of stack */
    int against;        /* -1: none */
};

static const struct row rows[] = {
    {"sigaltstack, asked", QUERY, NULL, 0, 0, -1},
    {"clear_registers", CLEAR, NULL, 0, 0, -1},
    {"a plain call", PLAIN, use_little, 0, 0, -1},
    {"a scratch call, of 8 KiB", SCRATCH, use_little, 0, 8192, 2},
    {"a scratch call, of 64 KiB", SCRATCH, use_little, 0, LARGEST, 2},
    {"the first, with an alternate stack", SCRATCH_ALTERNATE, use_little, 0, 8192, 2},
    {"4 KiB used, a plain call and its wipe", PLAIN_AND_WIPE, use_4k, 4096, 0, -1},
    {"4 KiB used, a scratch call of 8 KiB", SCRATCH, use_4k, 0, 8192, 6},
    {"64 KiB used, a plain call and its wipe", PLAIN_AND_WIPE, use_64k, LARGEST, 0, -1},
    {"64 KiB used, a scratch call of 68 KiB", SCRATCH, use_64k, 0, LARGEST + 4096, 8},
};

#define ROWS (sizeof rows / sizeof *rows)

static bool act(const struct row *row)
{
    static int count;
    void (*volatile function)(void *) = row->function;
    switch (row->way) {
    case QUERY:
        return sigaltstack(NULL, &(stack_t){0}) == 0;
    case CLEAR:
        securemem_clear_registers();
        return true;
    case PLAIN:
    case PLAIN_AND_WIPE:
        function(&count);
        securemem_wipe(wiped, row->used);
        return true;
    case SCRATCH:
    case SCRATCH_ALTERNATE:
        return securemem_scratch_call(function, &count, row->asked) == 0;
    }
    return false;
}

/* Nanoseconds a time; 0 where it fails. */
static double time_of(const struct row *row, double milliseconds)
{
    stack_t with = {.ss_sp = alternate, .ss_size = sizeof alternate}, before;
    if (row->way == SCRATCH_ALTERNATE && sigaltstack(&with, &before) != 0)
        return 0;
    double start = work_now(), end = start + milliseconds * 1e6, now;
    size_t count = 0;
    bool done = true;
    do {
        for (unsigned i = 0; i < 64 && done; i++)
            done = act(row);
        count += 64;
        now = work_now();
    } while (done && now < end);
    if (row->way == SCRATCH_ALTERNATE && sigaltstack(&before, NULL) != 0)
        return 0;
    return done ? (now - start) / (double)count : 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

void scratch_print(size_t rounds, double milliseconds)
{
    static double times[ROWS][MOST];
    rounds = rounds < MOST ? rounds : MOST;
    printf("\nScratch calls\n\n");
    for (size_t i = 0; i < ROWS; i++) /* stacks are there, as large as any */
        if (time_of(&rows[i], 0) == 0) {
            printf("not measured: %s\n", securemem_last_error()->message);
            return;
        }
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < ROWS; i++)
            times[i][r] = time_of(&rows[i], milliseconds);
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        double ratios[MOST];
        for (size_t r = 0; row->against >= 0 && r < rounds; r++)
            ratios[r] = times[i][r] / times[row->against][r];
        double ratio = row->against >= 0 ? median(ratios, rounds) : 0;
        printf("%-44s%12.1f ns", row->name, median(times[i], rounds));
        if (row->against >= 0)
            printf("%8.2f x %s", ratio, rows[row->against].name);
        printf("\n");
    }
    (void)securemem_scratch_trim(); /* what is refused stays, and harms no figure */
}
