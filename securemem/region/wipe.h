/* SPDX-License-Identifier: ISC */
/* Wiping everything, from anywhere: in a signal handler, on the way to abort(3). */
#ifndef SMEM_WIPE_H
#define SMEM_WIPE_H

#include <stdbool.h>
#include <stddef.h>

enum smem_wipe_extent {
    SMEM_WIPE_SECRETS, /* the bytes of each secret: canaries stay, the program may go on
                        */
    SMEM_WIPE_PAGES    /* all data pages of each secret: an overflow may have spilled, and
                          the process ends */
};

/*
 * Wipes every live secret. Async-signal-safe; takes no lock. Gives the number of secrets
 * that could not be wiped.
 */
size_t smem_wipe_regions(enum smem_wipe_extent extent);

/* How many times that was begun: raised within its visit, before anything is wiped. */
unsigned smem_wipe_count(void);

/* The same for what is only begun: one less where somebody is at work, who may come to it. */
unsigned smem_wipe_count_of_new(void);

/*
 * Whether one was begun since the count was that, asked after writing: where none was, the
 * next one finds what was written.
 */
bool smem_wipe_came(unsigned since);

#endif
