/* SPDX-License-Identifier: ISC */
#include "secretmem.h"

#include <securemem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "work.h"

#define MOST  31
#define SIZE  32
#define BATCH 64

enum { ORDINARY, SECRET, BACKINGS };

static securemem_arena *arena_of(int backing, securemem_placement placement)
{
    return securemem_arena_create(&(securemem_arena_options){
        .placement = placement,
        .fork = SECUREMEM_FORK_DROP,
        .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
        .idle = SIZE_MAX,
        .secret_memory = backing == SECRET ? SECUREMEM_REQUIRED : SECUREMEM_OFF});
}

/* Nanoseconds a secret of a page that is made for the first time; 0 where it fails. */
static double growth(int backing, size_t count)
{
    securemem_arena *arena = arena_of(backing, SECUREMEM_GUARDED);
    if (arena == NULL)
        return 0;
    size_t made = 0;
    double start = work_now();
    while (made < count && securemem_arena_alloc(arena, SIZE) != NULL)
        made++;
    double time = (work_now() - start) / (double)count;
    securemem_arena_destroy(arena);
    return made == count ? time : 0;
}

/* To allocate, write and free one, a batch of times; false where it is refused. */
static bool recycle(securemem_arena *arena)
{
    for (unsigned i = 0; i < BATCH; i++) {
        void *secret = securemem_arena_alloc(arena, SIZE);
        if (secret == NULL)
            return false;
        memset(secret, 1, SIZE);
        securemem_free(secret);
    }
    return true;
}

/* Nanoseconds of that, once the memory is there. */
static double steady(int backing, securemem_placement placement, double milliseconds)
{
    securemem_arena *arena = arena_of(backing, placement);
    if (arena == NULL || !recycle(arena))
        return 0;
    size_t count = 0;
    double start = work_now(), now;
    do {
        (void)recycle(arena);
        count += BATCH;
        now = work_now();
    } while (now < start + milliseconds * 1e6);
    securemem_arena_destroy(arena);
    return (now - start) / (double)count;
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

static void print(const char *what, double times[BACKINGS][MOST], size_t rounds)
{
    double ratios[MOST];
    for (size_t r = 0; r < rounds; r++)
        ratios[r] = times[SECRET][r] / times[ORDINARY][r];
    double ordinary = median(times[ORDINARY], rounds);
    double secret = median(times[SECRET], rounds);
    printf("%-44s%12.1f ns%12.1f ns%8.2f x\n", what, ordinary, secret,
           median(ratios, rounds));
}

void secretmem_print(size_t rounds, double milliseconds, size_t count)
{
    static double grown[BACKINGS][MOST], guarded[BACKINGS][MOST], packed[BACKINGS][MOST];
    rounds = rounds < MOST ? rounds : MOST;
    printf("\nSecret memory, beside ordinary memory\n\n");
    if (growth(SECRET, 1) <= 0) {
        printf("not measured: %s\n", securemem_last_error()->message);
        return;
    }
    for (size_t r = 0; r < rounds; r++)
        for (int b = ORDINARY; b < BACKINGS; b++) {
            grown[b][r] = growth(b, count);
            guarded[b][r] = steady(b, SECUREMEM_GUARDED, milliseconds);
            packed[b][r] = steady(b, SECUREMEM_PACKED, milliseconds);
        }
    print("growth, a guarded secret of a page", grown, rounds);
    print("guarded, recycled, 32 B", guarded, rounds);
    print("packed, recycled, 32 B", packed, rounds);
}
