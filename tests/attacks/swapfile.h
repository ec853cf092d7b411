/* SPDX-License-Identifier: ISC */
/*
 * A swap file of the attack's own, before all other swap of the machine, and a memory
 * control group that makes the kernel use it. Both go when the attack ends, however.
 * $SECUREMEM_SWAP_DEVICE is a disk to be used in place of a file, from its start.
 */
#ifndef ATTACK_SWAPFILE_H
#define ATTACK_SWAPFILE_H

#include "attacks/attack.h"
#include "attacks/guardian.h"

/* NULL where swap is on; else why this machine cannot have it. */
const char *swapfile_start(struct guardian *guardian);

/* Swap off, file and group gone: 0, or what failed. No process is left in the group. */
int swapfile_finish(struct guardian *guardian);

/*
 * Between start and finish: the group. NULL, or why it cannot be had. A process joins it
 * before it allocates; squeeze then fills it with pages of a process of its own.
 */
const char *swapgroup_make(void);
bool swapgroup_join(void);
void swapgroup_squeeze(void);

/*
 * Counts each marker in the file as the disk has it. Waits for at least enough copies of
 * the first, a few seconds at most: pages go out on their own time.
 */
void swapfile_count(unsigned char (*const markers)[MARKER_BYTES], size_t *counts,
                    size_t number, size_t enough);

#endif
