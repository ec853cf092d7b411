/* SPDX-License-Identifier: ISC */
/* Cores that the kernel writes into a directory of the attack's own. */
#ifndef ATTACK_COREFILE_H
#define ATTACK_COREFILE_H

#include <stddef.h>

/* Why this machine writes none there; NULL where it does. */
const char *corefile_reason_for_none(void);

/* In the subject: cores go to that directory, as large as the hard limit allows. */
void corefile_allow(const char *directory);

/* Calls look with the bytes of each file there; gives how many there are. */
size_t corefile_each(const char *directory,
                     void (*look)(void *context, const void *bytes, size_t length),
                     void *context);

/* For a guardian: removes the directory and what is in it. 0, or 1 where it cannot. */
int corefile_remove(const void *directory);

#endif
