/* SPDX-License-Identifier: ISC */
/*
 * A library whose calls are bound when they are made first. The kernel maps 64 KiB around
 * a fault of a file (fault_around_bytes), so what is called lies further away, and what is
 * called before lies beside neither, in whatever order a compiler puts them.
 */
#include <stdlib.h>

#define FAR __attribute__((noinline, aligned(131072)))

int lazy_call(int number);
int lazy_warm(int number);
long lazy_other(long number);

FAR int lazy_call(int number)
{
    return (int)lazy_other(number);
}

FAR int lazy_warm(int number)
{
    return -number;
}

/* Through the linkage table, for it may be another library's. */
FAR long lazy_other(long number)
{
    return labs(number);
}
