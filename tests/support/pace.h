/* SPDX-License-Identifier: ISC */
#ifndef TEST_PACE_H
#define TEST_PACE_H

#include <stddef.h>
#include <stdlib.h>

/*
 * How often a test repeats what it does: less by $SECUREMEM_TEST_PACE, which tests/vm sets
 * where every instruction is emulated.
 */
static inline size_t paced(size_t count)
{
    const char *pace = getenv("SECUREMEM_TEST_PACE");
    size_t by = pace == NULL ? 1 : strtoul(pace, NULL, 10);
    return by > 1 && count > by ? count / by : count;
}

#endif
