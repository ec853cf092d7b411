/* SPDX-License-Identifier: ISC */
/* Sections whose faults stop the thread: the handler of SIGTRAP, and who needs it. */
#ifndef SMEM_RT_TRAP_H
#define SMEM_RT_TRAP_H

#include "realtime/witness.h"

/*
 * From now on faults of the thread trap, until its witness is disarmed. 0 or a negative
 * errno, recorded.
 */
int smem_trap_begin(struct smem_witness *witness);

#endif
