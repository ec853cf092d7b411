/* SPDX-License-Identifier: ISC */
#include "connection.h"

#include <securemem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "work.h"

#define MOST 31
#define SIZE 32
#define KEYS 4

enum { SODIUM, PACKED, GUARDED, WAYS };

static void use(void *keys[KEYS])
{
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i] == NULL) {
            fprintf(stderr, "bench: a connection has no memory\n");
            exit(1);
        }
        memset(keys[i], 1, SIZE);
    }
}

static void connect_by_sodium(void)
{
    void *keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = sodium_malloc(SIZE);
    use(keys);
    for (size_t i = 0; i < KEYS; i++)
        sodium_free(keys[i]);
}

static void connect_by_arena(securemem_placement placement)
{
    void *keys[KEYS];
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.placement = placement});
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = securemem_arena_alloc(arena, SIZE);
    use(keys);
    securemem_arena_destroy(arena); /* wipes them */
}

/* Microseconds a connection. */
static double measure(int way, size_t connections)
{
    double start = work_now();
    for (size_t i = 0; i < connections; i++)
        if (way == SODIUM)
            connect_by_sodium();
        else
            connect_by_arena(way == PACKED ? SECUREMEM_PACKED : SECUREMEM_GUARDED);
    return (work_now() - start) / 1e3 / (double)connections;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, const double *base, size_t count)
{
    double sorted[MOST];
    for (size_t i = 0; i < count; i++)
        sorted[i] = base == NULL ? values[i] : values[i] / base[i];
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[count / 2];
}

void connection_print(size_t rounds, size_t connections)
{
    static const char *const names[WAYS] = {"libsodium, each by itself",
                                            "securemem, an arena of packed secrets",
                                            "securemem, an arena of guarded secrets"};
    static double times[WAYS][MOST];
    rounds = rounds < MOST ? rounds : MOST;
    if (sodium_init() < 0)
        return;
    for (size_t r = 0; r < rounds; r++)
        for (int way = 0; way < WAYS; way++)
            times[way][r] = measure(way, connections);
    printf("\nA connection with %d secrets of %d B, from its first to its last: and how "
           "many times libsodium\n\n",
           KEYS, SIZE);
    for (int way = 0; way < WAYS; way++)
        printf("%-44s%12.1f us%8.2f x\n", names[way], median(times[way], NULL, rounds),
               median(times[way], times[SODIUM], rounds));
}
