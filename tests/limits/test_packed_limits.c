/* SPDX-License-Identifier: ISC */
/* How many packed secrets a lock limit holds, all of them locked, and in what memory. */
#include <errno.h>
#include <securemem.h>
#include <stdlib.h>
#include <string.h>

#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define SIZE          32
#define KIB           1024UL
#define MIB           (1024UL * KIB)
#define MOST          300000
#define MOST_MAPPINGS 64

struct order {
    securemem_policy canaries;
    size_t least;
};

static void *secrets[MOST];

static int names_the_limit(const securemem_error *error)
{
    return error->code == ENOMEM && strstr(error->message, "RLIMIT_MEMLOCK") != NULL &&
           strstr(error->message, "LimitMEMLOCK=") != NULL;
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long size = 0, resident = 0;
    NEED(file != NULL && fscanf(file, "%lu %lu", &size, &resident) == 2);
    fclose(file);
    return resident * view_page_size();
}

static int fill_8_mib(void *argument)
{
    const struct order *order = argument;
    memset(secrets, 1, sizeof secrets); /* it is resident before */
    if (!child_become_ordinary(8 * MIB))
        return SKIP_EXIT;
    securemem_arena *arena = securemem_arena_create(&(securemem_arena_options){
        .placement = SECUREMEM_PACKED, .canaries = order->canaries});
    NEED(arena != NULL);
    (void)smaps_read(); /* its table, before mappings are counted */
    size_t mappings = view_mappings(), resident = resident_bytes(), n = 0;
    while (n < MOST && (secrets[n] = securemem_arena_alloc(arena, SIZE)) != NULL) {
        memset(secrets[n], (int)n, SIZE);
        n++;
    }
    NEED(n < MOST && errno == ENOMEM && names_the_limit(securemem_last_error()));
    size_t more = view_mappings() - mappings, taken = resident_bytes() - resident;
    NEED(more <= MOST_MAPPINGS);
    NEED(view_locked_bytes() <= 8 * MIB);
    (void)smaps_read();
    for (size_t i = 0; i < n; i++) {
        const struct smaps_entry *entry = smaps_at(secrets[i]);
        NEED(entry != NULL && entry->locked && entry->not_dumped && entry->wiped);
        NEED(*(unsigned char *)secrets[i] == (unsigned char)i);
    }
    NEED(securemem_arena_check(arena) == 0);
    printf("NOTE: 8 MiB hold %zu packed secrets of %d bytes, all locked, in %zu more "
           "mappings; %.2f bytes are resident for each that was asked for\n",
           n, SIZE, more, (double)taken / (double)(n * SIZE));
    NEED(n >= order->least);
    if (order->canaries == SECUREMEM_OFF)
        NEED(taken <= n * SIZE * 3 / 2);
    for (size_t i = 0; i < n; i++)
        securemem_free(secrets[i]);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == 0);
    return fflush(stdout);
}

static void eight_mib_hold_170000_packed_secrets_with_canaries(void **state)
{
    (void)state;
    struct order order = {.canaries = SECUREMEM_REQUIRED, .least = 170000};
    if (child_skips(fill_8_mib, &order))
        SKIP("this process has a smaller limit than 8 MiB");
}

static void eight_mib_hold_250000_packed_secrets_without_canaries(void **state)
{
    (void)state;
    struct order order = {.canaries = SECUREMEM_OFF, .least = 250000};
    if (child_skips(fill_8_mib, &order))
        SKIP("this process has a smaller limit than 8 MiB");
}

static int serve_many_sizes(void *argument)
{
    (void)argument;
    if (!child_become_ordinary(64 * KIB))
        return SKIP_EXIT;
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.placement = SECUREMEM_PACKED});
    NEED(arena != NULL);
    for (size_t size = 1; size < 2000; size = size * 2 + 1)
        for (int i = 0; i < 2; i++) {
            char *secret = securemem_arena_alloc(arena, size);
            NEED(secret != NULL);
            memset(secret, 1, size);
        }
    NEED(securemem_arena_alloc(arena, 4096) != NULL); /* guarded */
    while (securemem_arena_alloc(arena, 500) != NULL)
        continue;
    NEED(errno == ENOMEM && names_the_limit(securemem_last_error()));
    NEED(view_locked_bytes() == 64 * KIB);
    NEED(securemem_arena_check(arena) == 0);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void sixty_four_kib_serve_many_sizes(void **state)
{
    (void)state;
    if (child_skips(serve_many_sizes, NULL))
        SKIP("this process may not lower its limit or leave root");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_mib_hold_170000_packed_secrets_with_canaries),
        cmocka_unit_test(eight_mib_hold_250000_packed_secrets_without_canaries),
        cmocka_unit_test(sixty_four_kib_serve_many_sizes),
    };
    return RUN_GROUP(tests);
}
