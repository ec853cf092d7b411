/* SPDX-License-Identifier: ISC */
#ifndef SMEM_EXIT_H
#define SMEM_EXIT_H

/* at_quick_exit(3). 0 or a negative errno. */
int smem_kernel_at_quick_exit(void (*handler)(void));

#endif
