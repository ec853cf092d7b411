/* SPDX-License-Identifier: ISC */
#include "support/smaps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Entries of the first table; it grows fourfold, in place or not. */
#define FIRST_ENTRIES 1024UL

static struct smaps_entry *table;
static size_t entries, room;

static void die(const char *what)
{
    perror(what);
    abort();
}

void smaps_make_room(size_t wanted)
{
    if (wanted <= room)
        return;
    table = room == 0 ? mmap(NULL, wanted * sizeof *table, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                      : mremap(table, room * sizeof *table, wanted * sizeof *table,
                               MREMAP_MAYMOVE);
    if (table == MAP_FAILED)
        die("mmap");
    room = wanted;
}

static bool has_flag(const char *flags, const char *flag)
{
    const char *at = strstr(flags, flag);
    return at != NULL && at[-1] == ' ';
}

static void read_flags(const char *line, struct smaps_entry *entry)
{
    entry->locked = has_flag(line, "lo ");
    entry->not_dumped = has_flag(line, "dd ");
    entry->wiped = has_flag(line, "wf ");
    entry->not_forked = has_flag(line, "dc ");
    entry->mergeable = has_flag(line, "mg ");
    entry->guarded = has_flag(line, "gu ");
}

static void read_line(const char *line)
{
    char *rest;
    uintptr_t start = strtoul(line, &rest, 16);
    if (rest != line && *rest == '-') {
        if (entries == room)
            smaps_make_room(room == 0 ? FIRST_ENTRIES : 4 * room);
        struct smaps_entry *entry = &table[entries++];
        memset(entry, 0, sizeof *entry);
        entry->start = start;
        entry->end = strtoul(rest + 1, &rest, 16);
        memcpy(entry->permissions, rest + 1, 4);
    } else if (line[0] == 'V' && strncmp(line, "VmFlags:", 8) == 0) {
        read_flags(line, &table[entries - 1]);
    }
}

size_t smaps_read(void)
{
    static char buffer[1 << 16];
    int descriptor = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        die("/proc/self/smaps");
    entries = 0;
    size_t length = 0;
    for (;;) {
        ssize_t count = read(descriptor, buffer + length, sizeof buffer - 1 - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            die("/proc/self/smaps");
        if (count == 0)
            break;
        length += (size_t)count;
        buffer[length] = '\0';
        char *line = buffer;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            read_line(line);
        }
        length = (size_t)(buffer + length - line);
        memmove(buffer, line, length);
    }
    close(descriptor);
    return entries;
}

const struct smaps_entry *smaps_at(const void *address)
{
    size_t low = 0, high = entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle].end <= (uintptr_t)address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < entries && table[low].start <= (uintptr_t)address ? &table[low] : NULL;
}

bool smaps_range(const void *start, size_t length, struct smaps_entry *out)
{
    const struct smaps_entry *entry = smaps_at(start);
    if (entry == NULL)
        return false;
    struct smaps_entry all = *entry;
    while (all.end < (uintptr_t)start + length) {
        entry = smaps_at((const char *)start + (all.end - (uintptr_t)start));
        if (entry == NULL)
            return false;
        all.end = entry->end;
        all.locked = all.locked && entry->locked;
        all.not_dumped = all.not_dumped && entry->not_dumped;
        all.wiped = all.wiped && entry->wiped;
        all.not_forked = all.not_forked && entry->not_forked;
        all.mergeable = all.mergeable || entry->mergeable;
        all.guarded = all.guarded && entry->guarded;
    }
    *out = all;
    return true;
}

bool smaps_bytes(const void *address, void *out, size_t length)
{
    int descriptor = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        die("/proc/self/mem");
    ssize_t count = pread(descriptor, out, length, (off_t)(uintptr_t)address);
    close(descriptor);
    return count == (ssize_t)length;
}
