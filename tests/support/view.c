/* SPDX-License-Identifier: ISC */
#include "support/view.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux's own number, for C libraries that are older than the kernel they run on. */
#define ADVICE_GUARD_INSTALL 102

static FILE *open_or_die(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        abort();
    }
    return file;
}

bool view_at(const void *address, struct view *out)
{
    FILE *file = open_or_die("/proc/self/smaps");
    char line[4096];
    bool inside = false, found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        unsigned long start, end;
        char permissions[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, permissions) == 3) {
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
            if (inside) {
                memset(out, 0, sizeof *out);
                out->start = start;
                out->end = end;
                memcpy(out->permissions, permissions, sizeof permissions);
            }
        } else if (inside) {
            (void)sscanf(line, "Rss: %zu", &out->resident_kb);
            (void)sscanf(line, "Locked: %zu", &out->locked_kb);
            if (strncmp(line, "VmFlags:", 8) == 0) {
                line[strcspn(line, "\n")] = ' ';
                snprintf(out->flags, sizeof out->flags, "%.126s", line + 8);
                found = true;
            }
        }
    }
    fclose(file);
    return found;
}

bool view_has(const struct view *view, const char *flag)
{
    char padded[8];
    snprintf(padded, sizeof padded, " %s ", flag);
    return strstr(view->flags, padded) != NULL;
}

/* A line of status, which is in KiB, in bytes. */
static size_t status_bytes(const char *name)
{
    FILE *file = open_or_die("/proc/self/status");
    char line[256];
    size_t kb = SIZE_MAX;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kb = strtoul(line + strlen(name), NULL, 10);
    fclose(file);
    if (kb == SIZE_MAX)
        abort();
    return kb * 1024;
}

size_t view_locked_bytes(void)
{
    return status_bytes("VmLck:");
}

size_t view_mapped_bytes(void)
{
    return status_bytes("VmSize:");
}

size_t view_mappings(void)
{
    FILE *file = open_or_die("/proc/self/maps");
    size_t lines = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

size_t view_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        abort();
    size_t entries = 0;
    while (readdir(directory) != NULL)
        entries++;
    closedir(directory);
    return entries;
}

size_t view_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

bool view_readable(const void *address)
{
    int ends[2];
    if (pipe(ends) != 0)
        abort();
    bool readable = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

bool view_guard_regions_exist(void)
{
    size_t page = view_page_size();
    char *start =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        abort();
    bool exist = madvise(start, page, ADVICE_GUARD_INSTALL) == 0 && !view_readable(start);
    munmap(start, page);
    return exist;
}
