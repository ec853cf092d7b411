/* SPDX-License-Identifier: ISC */
#ifndef SMEM_MISUSE_H
#define SMEM_MISUSE_H

#include <securemem/misuse.h>

/*
 * The caller is wrong: runs the program's handler, or wipes everything, writes one line
 * and aborts. Called with no lock held; returns where the handler does.
 */
void smem_misuse(securemem_misuse_kind kind, const void *pointer);

#endif
