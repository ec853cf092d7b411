/* SPDX-License-Identifier: ISC */
/* Many secrets, looked at in one pass over smaps. */
#ifndef LIMITS_MANY_H
#define LIMITS_MANY_H

#include <stddef.h>

struct many {
    size_t locked, guarded, not_dumped, wiped; /* how many are so */
};

/* The n secrets of at most a page each that are given; guards by their permissions. */
void many_look(void *const *secrets, size_t n, struct many *out);

/* How many have two guards by probe: reads on both sides are refused. */
size_t many_probe_guards(void *const *secrets, size_t n);

#endif
