/* SPDX-License-Identifier: ISC */
/* The seam of files and terminals, wrapped as in wrap.c. */
#include "faults/wrap.h"
#include "kernel/file.h"
#include "kernel/terminal.h"

WRAP(int, FAULT_OPEN_FILE, smem_kernel_open_file, (const char *path), (path))
WRAP(int, FAULT_OPEN_DIRECTORY, smem_kernel_open_directory, (const char *path), (path))
WRAP(int, FAULT_OPEN_IN, smem_kernel_open_in, (int directory, const char *name),
     (directory, name))
WRAP(int, FAULT_FILE_STATUS, smem_kernel_file_status,
     (int descriptor, struct smem_file_status *out), (descriptor, out))
WRAP(int, FAULT_WAIT_READABLE, smem_kernel_wait_readable, (int descriptor), (descriptor))
WRAP(int, FAULT_WAIT_WRITABLE, smem_kernel_wait_writable, (int descriptor), (descriptor))
WRAP(int, FAULT_OPEN_TERMINAL, smem_kernel_open_terminal, (void), ())
WRAP(int, FAULT_QUIET_TERMINAL, smem_kernel_quiet_terminal, (int descriptor),
     (descriptor))
WRAP(int, FAULT_CATCH_SIGNALS, smem_kernel_catch_signals, (void), ())
WRAP(int, FAULT_WAIT_TERMINAL, smem_kernel_wait_terminal, (int descriptor), (descriptor))

/* One that fails restores nevertheless: what is tested is who hears of it. */
int __real_smem_kernel_restore_terminal(int descriptor);
int __wrap_smem_kernel_restore_terminal(int descriptor);
int __wrap_smem_kernel_restore_terminal(int descriptor)
{
    int result, restored = __real_smem_kernel_restore_terminal(descriptor);
    return fault_fails(FAULT_RESTORE_TERMINAL, &result) ? result : restored;
}
