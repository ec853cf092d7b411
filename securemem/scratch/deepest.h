/* SPDX-License-Identifier: ISC */
/* How far down a stack of zeros was written. */
#ifndef SMEM_DEEPEST_H
#define SMEM_DEEPEST_H

/* Both ends are aligned to so many bytes. */
#define SMEM_DEEPEST_STRIDE 128U

/*
 * An address such that every byte from low up to there is zero, and no later than the
 * first that is not; up to end. Every byte below it was looked at: a function may leap over
 * a buffer that it does not fill, and keys have zeros in them, so that nothing can be
 * concluded from samples. No register ever holds what is looked at, since a signal could
 * write that to another stack; where the processor has no such instructions nothing is
 * looked at, and the address is low.
 */
char *smem_scratch_deepest(char *low, char *end);

#endif
