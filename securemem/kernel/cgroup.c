/* SPDX-License-Identifier: ISC */
#include "kernel/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lines.h"
#include "kernel/procfs.h"

#define PATH_BYTES 1024

/* A hierarchy with a memory controller: where it is mounted, and which group is there. */
struct hierarchy {
    bool unified; /* version 2 */
    char mounted[PATH_BYTES / 2], root[PATH_BYTES / 2];
};

/* The field of that number in a line of fields between blanks, or "". */
static const char *field(const char *line, int number)
{
    for (; number > 0 && line != NULL; number--) {
        line = strchr(line, ' ');
        line = line == NULL ? NULL : line + 1;
    }
    return line == NULL ? "" : line;
}

static void copy_field(char *out, size_t size, const char *from)
{
    size_t length = strcspn(from, " ");
    length = length < size ? length : size - 1;
    memcpy(out, from, length);
    out[length] = '\0';
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ',' || at[-1] == ' ') &&
            (at[length] == '\0' || at[length] == ',' || at[length] == ' '))
            return true;
    return false;
}

/* "35 31 0:32 ROOT MOUNTPOINT options - TYPE source SUPEROPTIONS": proc(5), mountinfo. */
static bool is_hierarchy(const char *line, bool unified, struct hierarchy *out)
{
    const char *behind = strstr(line, " - ");
    if (behind == NULL)
        return false;
    const char *type = behind + 3;
    bool right =
        unified ? strncmp(type, "cgroup2 ", 8) == 0
                : strncmp(type, "cgroup ", 7) == 0 && has_word(field(type, 2), "memory");
    if (!right)
        return false;
    out->unified = unified;
    copy_field(out->root, sizeof out->root, field(line, 3));
    copy_field(out->mounted, sizeof out->mounted, field(line, 4));
    return true;
}

static int find_hierarchy(bool unified, struct hierarchy *out)
{
    struct smem_lines lines;
    int result = smem_lines_open(&lines, "/proc/thread-self/mountinfo");
    if (result != 0)
        return result;
    while ((result = smem_lines_next(&lines)) == 1)
        if (is_hierarchy(lines.line, unified, out))
            return smem_lines_close(&lines, 0);
    return smem_lines_close(&lines, result == 0 ? -ENOENT : result);
}

/* "4:memory:/path" of version 1, "0::/path" of version 2. */
static int find_group(bool unified, char *out, size_t size)
{
    struct smem_lines lines;
    int result = smem_lines_open(&lines, "/proc/thread-self/cgroup");
    if (result != 0)
        return result;
    while ((result = smem_lines_next(&lines)) == 1) {
        char *controllers = strchr(lines.line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL)
            continue;
        *path++ = '\0';
        controllers++;
        if (unified ? *controllers == '\0' : has_word(controllers, "memory")) {
            (void)snprintf(out, size, "%s", path);
            return smem_lines_close(&lines, 0);
        }
    }
    return smem_lines_close(&lines, result == 0 ? -ENOENT : result);
}

static size_t left_in(const struct smem_cgroup *group)
{
    return group->limit > group->in_use ? group->limit - group->in_use : 0;
}

static void look_at(const char *directory, bool unified, struct smem_cgroup *least)
{
    char path[PATH_BYTES + 32];
    struct smem_cgroup group;
    (void)snprintf(path, sizeof path, "%s/%s", directory,
                   unified ? "memory.max" : "memory.limit_in_bytes");
    if (smem_proc_setting(path, &group.limit) != 0)
        return; /* the topmost group of version 2 has no limit, and no file */
    (void)snprintf(path, sizeof path, "%s/%s", directory,
                   unified ? "memory.current" : "memory.usage_in_bytes");
    if (smem_proc_setting(path, &group.in_use) == 0 && left_in(&group) < left_in(least))
        *least = group;
}

/* Version 1 says "no limit" by the largest number of whole pages. */
#define UNLIMITED (SIZE_MAX / 4)

static int look_along(bool unified, struct smem_cgroup *least)
{
    struct hierarchy hierarchy;
    char group[PATH_BYTES / 2], directory[PATH_BYTES];
    int result = find_hierarchy(unified, &hierarchy);
    if (result == 0)
        result = find_group(unified, group, sizeof group);
    if (result != 0)
        return result;
    /* In a container the mount's root is the group that it was given. */
    size_t root = strcmp(hierarchy.root, "/") == 0 ? 0 : strlen(hierarchy.root);
    const char *below = strncmp(group, hierarchy.root, root) == 0 ? group + root : "";
    (void)snprintf(directory, sizeof directory, "%s%s", hierarchy.mounted, below);
    size_t top = strlen(hierarchy.mounted);
    for (char *end = directory + strlen(directory); end != NULL;
         end = strrchr(directory, '/')) {
        *end = '\0';
        look_at(directory, unified, least);
        if (strlen(directory) <= top)
            break;
    }
    return 0;
}

int smem_cgroup_memory(struct smem_cgroup *out)
{
    struct smem_cgroup least = {.limit = SIZE_MAX};
    int old = look_along(false, &least), new = look_along(true, &least);
    if (old != 0 && new != 0)
        return old;
    if (least.limit > UNLIMITED)
        least.limit = SIZE_MAX;
    *out = least;
    return 0;
}
