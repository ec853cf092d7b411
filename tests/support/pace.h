/* SPDX-License-Identifier: ISC */
#ifndef TEST_PACE_H
#define TEST_PACE_H

#include <stddef.h>
#include <stdlib.h>

/*
 * How often a test repeats what it does: less by $SECUREMEM_TEST_PACE, which tests/vm sets
 * where every instruction is emulated.
 */
static inline size_t pace(void)
{
    const char *by = getenv("SECUREMEM_TEST_PACE");
    return by == NULL ? 1 : strtoul(by, NULL, 10);
}

static inline size_t paced(size_t count)
{
    return count > pace() ? count / pace() : 1;
}

#endif
