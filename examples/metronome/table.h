/* SPDX-License-Identifier: ISC */
/*
 * The working set: a table of records, of which every tick changes some at random, so that
 * each page of it is needed and none can be foreseen.
 */
#ifndef METRONOME_TABLE_H
#define METRONOME_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "keys.h"

#define TABLE_CHANGES 64U /* a tick */

struct table_record {
    uint64_t changes;
    struct stamp last; /* of the last record that a tick changed: the tick's own */
    uint64_t padding;
};

struct table {
    struct table_record *records;
    size_t count;
    size_t bytes;    /* whole pages, a mapping of its own */
    uint64_t random; /* state; not 0 */
};

/* Maps it, and touches nothing: whose memory is to be there makes that so. */
const char *table_make(struct table *table, size_t bytes);
void table_free(struct table *table);

/* Changes TABLE_CHANGES records and stamps the tick into the last of them. */
void table_change(struct table *table, const struct keys *keys, uint64_t tick,
                  uint64_t time);

#endif
