/* SPDX-License-Identifier: ISC */
/* What the unit tests share. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <securemem.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "support/need.h"
#include "support/pace.h"
#include "support/skip.h"
#include "support/view.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Linux's own numbers, for C libraries that are older than the kernel they run on. */
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE  103

/*
 * ThreadSanitizer blocks signals itself while a handler runs, lets them come late, keeps
 * mappings of threads, and maps a stack of its own into a child before any handler.
 */
#if defined(__SANITIZE_THREAD__)
#define IS_TSAN 1
#else
#define IS_TSAN 0
#endif

#define CHILD_PASSES(body, argument)                                                     \
    do {                                                                                 \
        if (child_skips(body, argument))                                                 \
            SKIP("its child cannot run here");                                           \
    } while (0)

static inline bool all_bytes_are(const void *bytes, size_t length, unsigned char value)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        if (at[i] != value)
            return false;
    return true;
}

static inline bool no_byte_is_zero(const void *start, const void *end)
{
    for (const unsigned char *at = start; at < (const unsigned char *)end; at++)
        if (*at == 0)
            return false;
    return true;
}

/* The guard behind a guarded secret of that size, and the first of its pages. */
static inline char *guard_behind(const void *secret, size_t size)
{
    size_t page = view_page_size();
    return (char *)(((uintptr_t)secret + size + page - 1) / page * page);
}

static inline char *first_page(const void *secret, size_t size)
{
    size_t page = view_page_size();
    size_t pages = size == 0 ? 1 : (size + page - 1) / page;
    return guard_behind(secret, size) - pages * page;
}

/* The guard kinds that this kernel has: fills kinds, gives their number. */
static inline size_t guard_kinds(securemem_guard_kind kinds[2])
{
    kinds[0] = SECUREMEM_GUARDS_PROT_NONE;
    kinds[1] = SECUREMEM_GUARDS_REGION;
    return view_guard_regions_exist() ? 2 : 1;
}

static inline securemem_arena *arena_of(securemem_arena_options options)
{
    securemem_arena *arena = securemem_arena_create(&options);
    if (arena == NULL)
        print_error("%s\n", securemem_last_error()->message);
    assert_non_null(arena);
    return arena;
}

/* What the kernel lets the process do with the page: "---p", "r--p", "rw-p". */
static inline bool permissions_are(const void *address, const char *permissions)
{
    struct view view;
    return view_at(address, &view) && strcmp(view.permissions, permissions) == 0;
}

static inline securemem_budget_report budget_now(void)
{
    securemem_budget_report report;
    assert_int_equal(securemem_budget(&report), 0);
    return report;
}

#endif
