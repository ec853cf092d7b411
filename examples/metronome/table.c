/* SPDX-License-Identifier: ISC */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(sizeof(struct table_record) == 64, "a record is a cache line");

/* 2^64 divided by the golden ratio. */
#define SEED 0x9e3779b97f4a7c15U

/* xorshift64*, Vigna 2016: the pages it names are as good as any. */
static uint64_t draw(struct table *table)
{
    uint64_t x = table->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    table->random = x;
    return x * 0x2545f4914f6cdd1dU;
}

const char *table_make(struct table *table, size_t bytes)
{
    void *start =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return strerror(errno);
    /* The same pages in every mode: a huge one is a fault of milliseconds. */
    (void)madvise(start, bytes, MADV_NOHUGEPAGE); /* a kernel without them has none */
    *table = (struct table){.records = start,
                            .count = bytes / sizeof(struct table_record),
                            .bytes = bytes,
                            .random = SEED};
    return NULL;
}

void table_free(struct table *table)
{
    if (table->records != NULL)
        (void)munmap(table->records, table->bytes); /* the process ends */
    *table = (struct table){0};
}

void table_change(struct table *table, const struct keys *keys, uint64_t tick,
                  uint64_t time)
{
    struct table_record *record = NULL;
    for (unsigned i = 0; i < TABLE_CHANGES; i++) {
        record = &table->records[draw(table) % table->count];
        record->changes++;
    }
    record->last = (struct stamp){.tick = tick, .time = time};
    keys_stamp(keys, &record->last, (const unsigned char *)"", 0);
}
