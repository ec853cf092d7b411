/* SPDX-License-Identifier: ISC */
/*
 * What a machine cannot run is skipped aloud: one line on standard output that begins
 * with "SKIP: ", which tests/run counts. A program whose every test was skipped exits
 * with 77.
 */
#ifndef TEST_SKIP_H
#define TEST_SKIP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SKIP_EXIT 77

/* Ends the test: prints test and reason, then cmocka's skip(). */
#define SKIP(reason)                                                                     \
    do {                                                                                 \
        printf("SKIP: %s: %s\n", __func__, reason);                                      \
        fflush(stdout);                                                                  \
        skip_count++;                                                                    \
        skip();                                                                          \
    } while (0)

static unsigned skip_count;

/* The exit status for a group of count tests of which failed ones failed. */
static inline int skip_status(int failed, size_t count)
{
    if (failed != 0)
        return 1;
    return count > 0 && skip_count == count ? SKIP_EXIT : 0;
}

#define RUN_GROUP(tests)                                                                 \
    skip_status(cmocka_run_group_tests(tests, NULL, NULL),                               \
                sizeof(tests) / sizeof *(tests))

#endif
