/* SPDX-License-Identifier: ISC */
/*
 * Puts back what an attack changes on the machine, however the attack ends: a process
 * that waits until its parent is done or dead, by whatever signal, and then restores.
 */
#ifndef ATTACK_GUARDIAN_H
#define ATTACK_GUARDIAN_H

#include <sys/types.h>

struct guardian {
    pid_t pid;
    int life; /* a pipe that ends with the parent */
};

/* Before the change. restore runs once, in the guardian; it gives 0 or what failed. */
void guardian_start(struct guardian *guardian, int (*restore)(const void *),
                    const void *argument);

/* Restores now, and gives what restore gave. */
int guardian_finish(struct guardian *guardian);

#endif
