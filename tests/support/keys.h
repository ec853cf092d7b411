/* SPDX-License-Identifier: ISC */
/* Protection keys by the kernel's own word, not the library's. */
#ifndef TEST_KEYS_H
#define TEST_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/skip.h"

/* <signal.h> has it only since glibc 2.27. */
#define KEYS_SEGV_PKUERR 4

/* How many pkey_alloc(2) still gives. */
static inline size_t keys_left(void)
{
    long keys[16];
    size_t count = 0;
    while (count < 16 && (keys[count] = syscall(SYS_pkey_alloc, 0UL, 0UL)) > 0)
        count++;
    for (size_t i = 0; i < count; i++)
        (void)syscall(SYS_pkey_free, keys[i]);
    return count;
}

static inline bool keys_exist(void)
{
    return keys_left() > 0;
}

/* Whether the processor says that the kernel has turned them on. */
static inline bool keys_in_processor(void)
{
    char line[8192];
    bool found = false;
    FILE *processors = fopen("/proc/cpuinfo", "re");
    assert_non_null(processors);
    while (!found && fgets(line, sizeof line, processors) != NULL)
        found = strncmp(line, "flags", 5) == 0 && strstr(line, " ospke") != NULL;
    fclose(processors);
    return found;
}

/* ProtectionKey of the mapping in smaps that holds address; 0 where it has no such line. */
static inline unsigned keys_of(const void *address)
{
    char line[512];
    bool inside = false;
    unsigned key = 0;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    while (fgets(line, sizeof line, smaps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2)
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        else if (inside && strncmp(line, "ProtectionKey:", 14) == 0)
            key = (unsigned)strtoul(line + 14, NULL, 10);
    }
    fclose(smaps);
    return key;
}

#endif
