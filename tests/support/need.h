/* SPDX-License-Identifier: ISC */
/*
 * Checks in a child or a thread, which cmocka's assertions would leave by a jump into a
 * test that is not theirs: the first that fails ends the process and says where on
 * descriptor 2. child_skips runs a child and turns that into a failure of the test.
 */
#ifndef TEST_NEED_H
#define TEST_NEED_H

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "support/child.h"
#include "support/skip.h"

#define NEED(condition) need((condition) ? true : false, #condition, __FILE__, __LINE__)

static inline void need(bool holds, const char *condition, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    _exit(1);
}

/* Runs body in a child that has to return 0; whether it returned SKIP_EXIT instead. */
static inline bool child_skips(int (*body)(void *), void *argument)
{
    struct child_end end;
    child_run(body, argument, &end);
    if (end.exit_code == SKIP_EXIT)
        return true;
    if (end.exit_code != 0)
        print_error("the child: exit %d, signal %d, fault at %#lx\n%s", end.exit_code,
                    end.signal, (unsigned long)end.fault, end.errors);
    assert_int_equal(end.exit_code, 0);
    return false;
}

#endif
