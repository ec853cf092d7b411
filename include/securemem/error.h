/* SPDX-License-Identifier: ISC */
/*
 * Why the last call of this thread was refused.
 *
 * The errno values of the library are a closed set:
 *   EINVAL     an argument is not what the function takes
 *   ENOMEM     a limit is reached: RLIMIT_MEMLOCK, vm.max_map_count, the arena's budget,
 *              the address space, or a size that no machine has
 *   EPERM      the system forbids it: RLIMIT_MEMLOCK is 0, or a sandbox refuses the call
 *   ENOTSUP    this kernel does not have what was required
 *   EAGAIN     the kernel was short of something for the moment; a later call may do
 *   EBADMSG    bytes around a secret, or of a sealed one, were overwritten
 *   EOVERFLOW  more scopes are open on one secret than can be counted
 *   ENOSPC     all protection keys of the process are in use
 *   ENOKEY     the sealing key was wiped, or not inherited by this child
 *
 * and of what secrets are read from and written to (transfer.h):
 *   ENOENT, EACCES, EISDIR, EBADF, EPIPE   as the system call says
 *   EFAULT     the secret is closed
 *   EFBIG      it is longer than the limit that was given
 *   ENODATA    it ended before as many bytes as were asked for
 *   ENOTTY     the process has no terminal
 *   EINTR      a signal came while a passphrase was read
 *   EIO        anything else; kernel_code has it
 */
#ifndef SECUREMEM_ERROR_H
#define SECUREMEM_ERROR_H

#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct securemem_error {
    const char *operation; /* the system call or check that refused, "mlock" */
    int code;        /* the errno that the call returned, of the set above; 0: none */
    int kernel_code; /* the errno that the kernel gave; 0: the library refused */
    size_t needed;   /* bytes, or mappings where the limit counts those */
    size_t limit;    /* in the same unit; SIZE_MAX: none */
    size_t in_use;   /* in the same unit, by the whole process or the arena; of ENODATA
                            the bytes that came */
    const char *message; /* one sentence without a newline, with the remedy */
} securemem_error;

/*
 * The detail of the last failed call of the calling thread. Never NULL: before any
 * failure its code is 0 and its message says so. The struct is the thread's own; it is
 * valid until the thread's next call or its end. As with errno, look at it after a
 * failure: a call that succeeds by another way may leave the refusal of the first one
 * there.
 */
SECUREMEM_API const securemem_error *securemem_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
