/* SPDX-License-Identifier: ISC */
/* Wiping everything, from anywhere: in a signal handler, on the way to abort(3). */
#ifndef SMEM_WIPE_H
#define SMEM_WIPE_H

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

#endif
