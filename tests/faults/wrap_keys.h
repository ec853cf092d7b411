/* SPDX-License-Identifier: ISC */
/* Protection keys that are pretended (wrap_keys.c). */
#ifndef FAULTS_WRAP_KEYS_H
#define FAULTS_WRAP_KEYS_H

#include <stdbool.h>

/* The processor has none. */
void keys_use_none(bool none);

/* How many keys are allocated. */
unsigned keys_taken(void);

/* Whether the calling thread has rights to no key, as it began. */
bool keys_rights_are_none(void);

#endif
