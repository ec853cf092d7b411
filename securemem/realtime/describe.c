/* SPDX-License-Identifier: ISC */
#include <dlfcn.h>
#include <securemem/witness.h>
#include <stdio.h>
#include <string.h>

#include "kernel/procfs.h"
#include "region/error.h"

static int is_of(const struct smem_proc_map *map, void *context)
{
    struct smem_proc_map *wanted = context;
    if (wanted->start < map->start || wanted->start >= map->end)
        return 0;
    memcpy(wanted->name, map->name, sizeof wanted->name);
    return 1;
}

/* The name of the mapping that holds an address. */
static const char *mapping_of(uintptr_t address, struct smem_proc_map *map)
{
    map->start = address;
    if (smem_proc_each_map(is_of, map) != 1)
        return "nothing that is mapped";
    return map->name[0] == '\0' ? "anonymous memory" : map->name;
}

size_t securemem_rt_fault_describe(const securemem_rt_fault *fault, char *line,
                                   size_t size)
{
    Dl_info info;
    struct smem_proc_map map;
    if (fault == NULL || (line == NULL && size > 0)) {
        (void)smem_error_argument("securemem_rt_fault_describe", "fault or line is NULL");
        return 0;
    }
    const void *instruction = (const void *)fault->instruction; /* NOLINT: an address */
    const char *touched = mapping_of(fault->address, &map);
    int length;
    if (dladdr(instruction, &info) == 0)
        length = snprintf(line, size, "%#lx touched %#lx in %s",
                          (unsigned long)fault->instruction,
                          (unsigned long)fault->address, touched);
    else if (info.dli_sname == NULL)
        length = snprintf(line, size, "%s+%#lx touched %#lx in %s", info.dli_fname,
                          (unsigned long)(fault->instruction - (uintptr_t)info.dli_fbase),
                          (unsigned long)fault->address, touched);
    else
        length = snprintf(line, size, "%s+%#lx (%s) touched %#lx in %s", info.dli_sname,
                          (unsigned long)(fault->instruction - (uintptr_t)info.dli_saddr),
                          info.dli_fname, (unsigned long)fault->address, touched);
    return length < 0 ? 0 : (size_t)length;
}
