/* SPDX-License-Identifier: ISC */
/*
 * Looks for pieces of a secret in all that a frozen, traced subject has: every mapping
 * that can be read, whatever its protection, and the registers of its one thread.
 */
#ifndef ATTACK_SCAN_H
#define ATTACK_SCAN_H

#include "attacks/subject.h"

struct scan {
    size_t in_place;  /* pieces that begin where the subject told the secret to be */
    size_t elsewhere; /* in its other memory */
    size_t registers; /* general and vector registers */
    char where[512];  /* the mappings of those elsewhere, for a report */
};

/* Whether registers can be read on this machine. */
bool scan_is_known(void);

struct scan scan_subject(const struct subject *subject, const struct pieces *pieces);

#endif
