/* SPDX-License-Identifier: ISC */
#ifndef SMEM_HOT_H
#define SMEM_HOT_H

/*
 * What opening and closing a secret runs through. mprotect(2) empties what the processor
 * remembers of pages, those of code among them, and each has to be looked up again when
 * mprotect returns: so these functions stand together on few.
 */
#define SMEM_HOT __attribute__((hot))

#endif
