/* SPDX-License-Identifier: ISC */
#include "kernel/procfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lines.h"

/* Not /proc/self, which is empty once the first thread has ended (Linux 3.17 has it). */
#define PROC_SELF "/proc/thread-self/"
#define KEY       "ProtectionKey:"

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
        .secret = strstr(rest, " /secretmem") != NULL,
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
    struct smem_lines lines;
    int result = smem_lines_open(&lines, PROC_SELF "smaps");
    if (result != 0)
        return result;

    struct smem_proc_mapping mapping = {0};
    bool inside = false;
    while ((result = smem_lines_next(&lines)) == 1) {
        struct smem_proc_mapping head;
        if (parse_head(lines.line, &head)) {
            mapping = head;
            inside = head.start <= (uintptr_t)address && (uintptr_t)address < head.end;
        } else if (inside && starts_with(lines.line, KEY)) {
            mapping.key = (unsigned)strtoul(lines.line + strlen(KEY), NULL, 10);
        } else if (inside && starts_with(lines.line, "VmFlags:")) {
            parse_flags(lines.line, &mapping);
            *out = mapping;
            return smem_lines_close(&lines, 0);
        }
    }
    return smem_lines_close(&lines, result == 0 ? -ENOENT : result);
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
    struct smem_lines lines;
    int result = smem_lines_open(&lines, PROC_SELF "maps");
    if (result != 0)
        return result;
    int visited = 0;
    while (visited == 0 && (result = smem_lines_next(&lines)) == 1) {
        struct smem_proc_mapping head;
        struct smem_proc_map map;
        if (!parse_head(lines.line, &head))
            continue;
        map.start = head.start;
        map.end = head.end;
        parse_rest(lines.line, &map);
        visited = visit(&map, context);
    }
    return smem_lines_close(&lines, visited != 0 ? visited : result < 0 ? result : 0);
}

int smem_proc_count_mappings(size_t *out)
{
    struct smem_lines lines;
    int result = smem_lines_open(&lines, PROC_SELF "maps");
    if (result != 0)
        return result;
    size_t count = 0;
    while ((result = smem_lines_next(&lines)) == 1)
        count++;
    result = smem_lines_close(&lines, result);
    if (result == 0)
        *out = count;
    return result;
}

/* A line "name:   123 kB" of a file, in bytes. */
static int find_kilobytes(const char *path, const char *name, size_t *bytes)
{
    struct smem_lines lines;
    int result = smem_lines_open(&lines, path);
    if (result != 0)
        return result;
    while ((result = smem_lines_next(&lines)) == 1) {
        if (!starts_with(lines.line, name))
            continue;
        *bytes = (size_t)strtoull(lines.line + strlen(name), NULL, 10) * 1024;
        return smem_lines_close(&lines, 0);
    }
    return smem_lines_close(&lines, result == 0 ? -ENOENT : result);
}

int smem_proc_locked(size_t *bytes)
{
    return find_kilobytes(PROC_SELF "status", "VmLck:", bytes);
}

int smem_proc_size(size_t *bytes)
{
    return find_kilobytes(PROC_SELF "status", "VmSize:", bytes);
}

int smem_proc_resident(size_t *bytes)
{
    return find_kilobytes(PROC_SELF "status", "VmRSS:", bytes);
}

int smem_proc_anonymous(size_t *bytes)
{
    return find_kilobytes(PROC_SELF "status", "RssAnon:", bytes);
}

int smem_proc_available(size_t *bytes)
{
    return find_kilobytes("/proc/meminfo", "MemAvailable:", bytes);
}

int smem_proc_setting(const char *path, size_t *out)
{
    struct smem_lines lines;
    int result = smem_lines_first(path, &lines);
    if (result != 0)
        return result;
    char *rest;
    unsigned long long value = strtoull(lines.line, &rest, 10);
    *out = rest == lines.line ? SIZE_MAX : (size_t)value;
    return 0;
}

int smem_proc_choice(const char *path, const char *choice)
{
    struct smem_lines lines;
    int result = smem_lines_first(path, &lines);
    return result != 0 ? result : strstr(lines.line, choice) != NULL;
}

int smem_proc_has_swap(void)
{
    struct smem_lines lines;
    int result = smem_lines_open(&lines, "/proc/swaps");
    if (result != 0)
        return result;
    int count = 0; /* of lines; the first is a heading */
    while ((result = smem_lines_next(&lines)) == 1)
        count++;
    result = smem_lines_close(&lines, result);
    return result != 0 ? result : count > 1;
}

int smem_proc_mapping_limit(size_t *out)
{
    return smem_proc_setting("/proc/sys/vm/max_map_count", out);
}

/* user_namespaces(7): the initial namespace maps every id, 0 to 4294967295, to itself. */
int smem_proc_in_initial_namespace(bool *out)
{
    struct smem_lines lines;
    int result = smem_lines_open(&lines, PROC_SELF "uid_map");
    if (result != 0)
        return result;
    result = smem_lines_next(&lines);
    bool mapped = result == 1; /* one that nothing was mapped into yet has no line */
    result = smem_lines_close(&lines, result < 0 ? result : 0);
    if (result != 0)
        return result;
    *out = false;
    if (mapped) {
        char *rest;
        unsigned long long inside = strtoull(lines.line, &rest, 10);
        unsigned long long outside = strtoull(rest, &rest, 10);
        unsigned long long length = strtoull(rest, NULL, 10);
        *out = inside == 0 && outside == 0 && length == UINT32_MAX;
    }
    return 0;
}
