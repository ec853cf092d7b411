/* SPDX-License-Identifier: ISC */
/* The way to another stack and back: switch_*.S. */
#ifndef SMEM_SWITCH_H
#define SMEM_SWITCH_H

/* Known in assembly too. The ABI of 32-bit pointers on x86-64 has no file here. */
#if !defined(SMEM_SCRATCH_THREADS) && defined(__LP64__) &&                               \
    (defined(__x86_64__) || defined(__aarch64__))
#define SMEM_SCRATCH_SWITCHES 1
#else
#define SMEM_SCRATCH_SWITCHES 0
#endif

#ifndef __ASSEMBLER__

/*
 * Calls function(argument) on the stack that begins at start, aligned to 16 bytes, and
 * clears registers before it comes back.
 */
void smem_scratch_switch(void (*function)(void *argument), void *argument, void *start);

#endif
#endif
