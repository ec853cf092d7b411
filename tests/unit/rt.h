/* SPDX-License-Identifier: ISC */
/* What the tests of sections share. */
#ifndef TEST_RT_H
#define TEST_RT_H

#include <fcntl.h>
#include <stdlib.h>

#include "support/fresh.h"
#include "unit/unit.h"

#define TIMES 100

static securemem_rt_section section;
static size_t page;

static inline void begin(void)
{
    NEED(securemem_rt_section_begin(&section) == 0);
}

static inline void end(void)
{
    NEED(securemem_rt_section_end(&section) == 0);
}

static inline bool has_perf(void)
{
    begin();
    end();
    return section.witness == SECUREMEM_RT_WITNESS_PERF;
}

/* A fault of this thread's, and its record. */
static inline void need_to_see_a_fault(void)
{
    char *memory = fresh(1);
    begin();
    *(volatile char *)memory = 1;
    NEED(securemem_rt_section_faulted(&section));
    end();
    bool seen = false; /* among those that a sanitizer's own memory has */
    for (size_t i = 0; i < section.recorded; i++)
        seen = seen || section.faults[i].address == (uintptr_t)memory;
    NEED(seen && section.user_minor >= 1);
    NEED(securemem_rt_section_faulted(&section)); /* after its end, too */
    NEED(munmap(memory, page) == 0);
}

/* Open descriptors whose link has that text. */
static inline size_t find_descriptors(const char *text)
{
    size_t count = 0;
    char path[64], link[64];
    for (int i = 0; i < 1024; i++) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        ssize_t length = readlink(path, link, sizeof link - 1);
        if (length > 0) {
            link[length] = '\0';
            count += strstr(link, text) != NULL;
        }
    }
    return count;
}

/* A test in a child, which exits with SKIP_EXIT where it has no witness. */
#define CAUGHT(name, body)                                                               \
    static void name(void **state)                                                       \
    {                                                                                    \
        (void)state;                                                                     \
        if (child_skips(body, NULL))                                                     \
            SKIP("perf_event_open is refused here");                                     \
    }

#endif
