/* SPDX-License-Identifier: ISC */
/* Memory that is not there before it is touched. */
#ifndef TEST_FRESH_H
#define TEST_FRESH_H

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "support/need.h"
#include "support/view.h"

/*
 * Fresh pages, each of which faults by itself: a huge page that a touch of the mapping
 * next to them brings in, a thread's stack say, would bring them in as well.
 */
static inline char *fresh(size_t pages)
{
    size_t length = pages * view_page_size();
    char *start =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(start != MAP_FAILED);
    NEED(madvise(start, length, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    return start;
}

#endif
