/* SPDX-License-Identifier: ISC */
#include "faults/agent/remains.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/need.h"
#include "support/view.h"

#define PIECE  ((size_t)8)
#define WINDOW ((size_t)256 << 10)
#define BITS   16U

/* By the first two bytes of a piece, masked. */
static unsigned char first[1U << BITS];

static uint16_t first_two(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void prepare(const struct notary *notary)
{
    memset(first, 0, sizeof first);
    for (size_t v = 0; v < notary->values_count; v++)
        for (size_t i = 0; i + PIECE <= notary->values[v].size; i++)
            first[first_two(notary->values[v].bytes + i)] = 1;
}

/* Compared byte by byte: no unmasked piece comes into being here. */
static bool is_piece(const struct notary *notary, const unsigned char *at)
{
    for (size_t v = 0; v < notary->values_count; v++)
        for (size_t i = 0; i + PIECE <= notary->values[v].size; i++) {
            size_t same = 0;
            while (same < PIECE &&
                   at[same] == (notary->values[v].bytes[i + same] ^ NOTARY_MASK))
                same++;
            if (same == PIECE)
                return true;
        }
    return false;
}

static size_t count_in(const struct notary *notary, const unsigned char *bytes,
                       size_t size)
{
    size_t found = 0;
    uint16_t mask = NOTARY_MASK << 8 | NOTARY_MASK;
    for (size_t i = 0; i + PIECE <= size; i++)
        if (first[first_two(bytes + i) ^ mask])
            found += is_piece(notary, bytes + i);
    return found;
}

/* By process_vm_readv(2), to which a guard is an error instead of a signal. */
static size_t count_mapping(const struct notary *notary, uintptr_t start, uintptr_t end)
{
    static unsigned char window[WINDOW];
    size_t page = view_page_size(), found = 0;
    for (uintptr_t at = start; at < end;) {
        size_t size = end - at < WINDOW ? end - at : WINDOW;
        struct iovec here = {window, size}, there = {(void *)at, size};
        ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
        if (got > 0)
            found += count_in(notary, window, (size_t)got);
        at += got > 0 && (size_t)got == size ? size - (at + size < end ? PIECE : 0)
              : got > 0                      ? (size_t)got
                                             : page;
    }
    memset(window, 0, sizeof window);
    return found;
}

size_t remains_count(const struct notary *notary, const char **where)
{
    static char line[512], last[512];
    size_t total = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    NEED(maps != NULL);
    prepare(notary);
    *where = "";
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        char permissions[5];
        NEED(sscanf(line, "%lx-%lx %4s", &start, &end, permissions) == 3);
        if (memcmp(permissions, "rw-p", 4) != 0) /* what is shared is the test's */
            continue;
        size_t found = count_mapping(notary, start, end);
        if (found > 0) {
            memcpy(last, line, sizeof last);
            *where = last;
        }
        total += found;
    }
    fclose(maps);
    return total;
}
