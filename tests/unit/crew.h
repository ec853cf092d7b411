/* SPDX-License-Identifier: ISC */
/*
 * Threads that take turns: one works at a time, so that what they do is the same in each
 * run, and each has caches of its own in the library.
 */
#ifndef TEST_CREW_H
#define TEST_CREW_H

#include <stddef.h>

#define CREW 4

void crew_start(void);

/* A thread of the crew does it, and the caller waits for that. */
void crew_do(size_t member, void (*work)(void));

/* The thread ends, and another one takes its place. */
void crew_replace(size_t member);

void crew_end(void);

#endif
