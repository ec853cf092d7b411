/* SPDX-License-Identifier: ISC */
#include "kernel/procfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"

/* Longer than every line that is looked into; longer lines are cut, not misread. */
#define LINE_BYTES  512
#define CHUNK_BYTES 4096

/* Not /proc/self, which is empty once the first thread has ended (Linux 3.17 has it). */
#define PROC_SELF "/proc/thread-self/"

/* A file of /proc, line by line, without a heap. */
struct lines {
    int descriptor;
    size_t begin, end; /* what is unread of chunk */
    char line[LINE_BYTES];
    char chunk[CHUNK_BYTES];
};

static int lines_open(struct lines *lines, const char *path)
{
    lines->begin = lines->end = 0;
    lines->descriptor = smem_kernel_open(path);
    return lines->descriptor < 0 ? lines->descriptor : 0;
}

/* Closing a file that was only read loses nothing, but a failure is still an answer. */
static int lines_close(struct lines *lines, int result)
{
    int closed = smem_kernel_close(lines->descriptor);
    return result != 0 ? result : closed;
}

static int lines_fill(struct lines *lines)
{
    long count;
    do
        count = smem_kernel_read(lines->descriptor, lines->chunk, sizeof lines->chunk);
    while (count == -EINTR);
    if (count < 0)
        return (int)count;
    lines->begin = 0;
    lines->end = (size_t)count;
    return count > 0;
}

/* 1 with the next line in lines->line, 0 at the end of the file, or a negative errno. */
static int lines_next(struct lines *lines)
{
    size_t length = 0;
    for (;;) {
        if (lines->begin == lines->end) {
            int filled = lines_fill(lines);
            if (filled < 0)
                return filled;
            if (filled == 0 && length == 0)
                return 0;
            if (filled == 0)
                break;
        }
        char c = lines->chunk[lines->begin++];
        if (c == '\n')
            break;
        if (length < sizeof lines->line - 1)
            lines->line[length++] = c;
    }
    lines->line[length] = '\0';
    return 1;
}

static bool starts_with(const char *line, const char *prefix)
{
    return strncmp(line, prefix, strlen(prefix)) == 0;
}

/* "7f1d8dd20000-7f1d8fd21000 rw-p ...": the head of a mapping in maps and smaps. */
static bool parse_head(const char *line, struct smem_proc_mapping *out)
{
    char *rest;
    unsigned long long start = strtoull(line, &rest, 16);
    if (rest == line || *rest != '-')
        return false;
    const char *second = rest + 1;
    unsigned long long end = strtoull(second, &rest, 16);
    if (rest == second || rest[0] != ' ' || rest[1] == '\0' || rest[2] == '\0')
        return false;
    *out = (struct smem_proc_mapping){
        .start = (uintptr_t)start,
        .end = (uintptr_t)end,
        .readable = rest[1] == 'r',
        .writable = rest[2] == 'w',
    };
    return true;
}

static bool has_flag(const char *flags, const char *flag)
{
    for (const char *at = flags; (at = strstr(at, flag)) != NULL; at++)
        if (at[-1] == ' ' && (at[2] == ' ' || at[2] == '\0'))
            return true;
    return false;
}

static void parse_flags(const char *line, struct smem_proc_mapping *out)
{
    const char *flags = line + strlen("VmFlags:");
    out->locked = has_flag(flags, "lo");
    out->not_dumped = has_flag(flags, "dd");
    out->wiped = has_flag(flags, "wf");
    out->not_forked = has_flag(flags, "dc");
    out->mergeable = has_flag(flags, "mg");
}

int smem_proc_mapping_at(const void *address, struct smem_proc_mapping *out)
{
    struct lines lines;
    int result = lines_open(&lines, PROC_SELF "smaps");
    if (result != 0)
        return result;

    struct smem_proc_mapping mapping = {0};
    bool inside = false;
    while ((result = lines_next(&lines)) == 1) {
        struct smem_proc_mapping head;
        if (parse_head(lines.line, &head)) {
            mapping = head;
            inside = head.start <= (uintptr_t)address && (uintptr_t)address < head.end;
        } else if (inside && starts_with(lines.line, "VmFlags:")) {
            parse_flags(lines.line, &mapping);
            *out = mapping;
            return lines_close(&lines, 0);
        }
    }
    return lines_close(&lines, result == 0 ? -ENOENT : result);
}

/* "start-end rwxp offset device inode   name", where start and end were parsed. */
static void parse_rest(const char *line, struct smem_proc_map *out)
{
    const char *at = strchr(line, ' ') + 1;
    out->readable = at[0] == 'r';
    out->writable = at[1] == 'w';
    out->executable = at[2] == 'x';
    out->shared = at[3] == 's';
    for (int field = 0; field < 4 && at != NULL; field++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    while (at != NULL && *at == ' ')
        at++;
    size_t length = at == NULL ? 0 : strlen(at);
    if (length >= sizeof out->name) {
        at += length - (sizeof out->name - 1);
        length = sizeof out->name - 1;
    }
    memcpy(out->name, at == NULL ? "" : at, length);
    out->name[length] = '\0';
}

int smem_proc_each_map(int (*visit)(const struct smem_proc_map *map, void *context),
                       void *context)
{
    struct lines lines;
    int result = lines_open(&lines, PROC_SELF "maps");
    if (result != 0)
        return result;
    int visited = 0;
    while (visited == 0 && (result = lines_next(&lines)) == 1) {
        struct smem_proc_mapping head;
        struct smem_proc_map map;
        if (!parse_head(lines.line, &head))
            continue;
        map.start = head.start;
        map.end = head.end;
        parse_rest(lines.line, &map);
        visited = visit(&map, context);
    }
    return lines_close(&lines, visited != 0 ? visited : result < 0 ? result : 0);
}

int smem_proc_count_mappings(size_t *out)
{
    struct lines lines;
    int result = lines_open(&lines, PROC_SELF "maps");
    if (result != 0)
        return result;
    size_t count = 0;
    while ((result = lines_next(&lines)) == 1)
        count++;
    result = lines_close(&lines, result);
    if (result == 0)
        *out = count;
    return result;
}

int smem_proc_locked(size_t *bytes)
{
    struct lines lines;
    int result = lines_open(&lines, PROC_SELF "status");
    if (result != 0)
        return result;
    while ((result = lines_next(&lines)) == 1) {
        if (!starts_with(lines.line, "VmLck:"))
            continue;
        *bytes = (size_t)strtoull(lines.line + strlen("VmLck:"), NULL, 10) * 1024;
        return lines_close(&lines, 0);
    }
    return lines_close(&lines, result == 0 ? -ENOENT : result);
}

/* The first line of a file in *lines, whose descriptor is closed again. */
static int read_first_line(const char *path, struct lines *lines)
{
    int result = lines_open(lines, path);
    if (result != 0)
        return result;
    result = lines_next(lines);
    if (result >= 0)
        result = result == 1 ? 0 : -ENOENT;
    return lines_close(lines, result);
}

int smem_proc_mapping_limit(size_t *out)
{
    struct lines lines;
    int result = read_first_line("/proc/sys/vm/max_map_count", &lines);
    if (result == 0)
        *out = (size_t)strtoull(lines.line, NULL, 10);
    return result;
}

/* user_namespaces(7): the initial namespace maps every id, 0 to 4294967295, to itself. */
int smem_proc_in_initial_namespace(bool *out)
{
    struct lines lines;
    int result = read_first_line(PROC_SELF "uid_map", &lines);
    if (result != 0)
        return result;
    char *rest;
    unsigned long long inside = strtoull(lines.line, &rest, 10);
    unsigned long long outside = strtoull(rest, &rest, 10);
    unsigned long long length = strtoull(rest, NULL, 10);
    *out = inside == 0 && outside == 0 && length == UINT32_MAX;
    return 0;
}
