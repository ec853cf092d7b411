/* SPDX-License-Identifier: ISC */
/*
 * All of /proc/self/smaps in one pass, for tests that look at many secrets, and the bytes
 * behind any protection, by /proc/self/mem. Its table is one mapping, made by the first
 * reading, so that later ones do not move what is counted. Every function aborts when /proc cannot be read.
 */
#ifndef TEST_SMAPS_H
#define TEST_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smaps_entry {
    uintptr_t start, end;
    char permissions[5]; /* "rw-p" */
    bool locked;         /* lo */
    bool not_dumped;     /* dd */
    bool wiped;          /* wf */
    bool not_forked;     /* dc */
    bool mergeable;      /* mg */
    bool guarded;        /* gu: holds guard regions (Linux 6.13) */
};

/* Room for so many mappings at once: at vm.max_map_count the table cannot grow. */
void smaps_make_room(size_t wanted);

/* Reads it anew. Gives the number of mappings. */
size_t smaps_read(void);

/* The mapping of the last reading that holds address; NULL where there is none. */
const struct smaps_entry *smaps_at(const void *address);

/*
 * What holds for all of [start, start + length): flags that every mapping has, mergeable
 * where any is, permissions of the first. False where a part is not mapped.
 */
bool smaps_range(const void *start, size_t length, struct smaps_entry *out);

/* Copies from address whatever its access; false where nothing is mapped there. */
bool smaps_bytes(const void *address, void *out, size_t length);

#endif
