/* SPDX-License-Identifier: ISC */
/* How many forks lie between the process that loaded the library and this one. */
#ifndef SMEM_EPOCH_H
#define SMEM_EPOCH_H

#include <stdint.h>

uint32_t smem_epoch(void);

/* In a child, once. */
void smem_epoch_advance(void);

#endif
