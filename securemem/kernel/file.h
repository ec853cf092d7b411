/* SPDX-License-Identifier: ISC */
/* Files and descriptors that secrets come from and go to. Contract as in kernel.h. */
#ifndef SMEM_FILE_H
#define SMEM_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* open(2) to read, not as the terminal of the process; a directory to look in. */
int smem_kernel_open_file(const char *path);
int smem_kernel_open_directory(const char *path);

/* openat(2): a file of that directory, which is not a symbolic link. */
int smem_kernel_open_in(int directory, const char *name);

struct smem_file_status {
    bool regular;
    uint32_t mode, owner;
    uint64_t size;
};
int smem_kernel_file_status(int descriptor, struct smem_file_status *out);

/* The effective user of the process. */
uint32_t smem_kernel_user(void);

/* Waits until the descriptor can be read, or written (poll(2)). */
int smem_kernel_wait_readable(int descriptor);
int smem_kernel_wait_writable(int descriptor);

#endif
