/* SPDX-License-Identifier: ISC */
/*
 * Access: a secret at rest may be closed to the whole process, and opened in scopes.
 *
 *      securemem_set_access(key, SECUREMEM_NONE);        resting: no access
 *      securemem_open(key, SECUREMEM_READ);              + scope: readable
 *        securemem_open(key, SECUREMEM_WRITE);           ++ scopes: writable
 *        securemem_close(key);                           + scope: still writable
 *      securemem_close(key);                             resting again: no access
 *
 * Access is made by mprotect(2), so it is the whole process's: it stops stray reads and
 * writes, not code that runs inside the process (/proc/self/mem goes through it). An
 * mprotect that takes rights away interrupts every other running thread of the process;
 * it costs 1 to 2 microseconds alone and about ten times that with a second thread
 * running.
 */
#ifndef SECUREMEM_ACCESS_H
#define SECUREMEM_ACCESS_H

#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum securemem_access {
    SECUREMEM_NONE = 0,
    SECUREMEM_READ = 1,
    SECUREMEM_WRITE = 2 /* includes reading */
} securemem_access;

/*
 * Sets the resting access of the secret, SECUREMEM_WRITE after allocation. While scopes
 * are open it takes effect at the last close, unless it allows more than they do.
 * 0, -EINVAL (not a secret, not an access), -ENOTSUP (a packed secret shares its pages and
 * has no access of its own; so for all three functions), or what mprotect(2) was refused with: -ENOMEM
 * (vm.max_map_count), -EPERM, -ENOTSUP, -EAGAIN; access is then as before.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_set_access(void *secret,
                                                            securemem_access access);

/*
 * Opens a scope: until it is closed the secret allows at least access, SECUREMEM_READ or
 * SECUREMEM_WRITE. Scopes nest and may overlap among threads; what is allowed never
 * shrinks while one is open: it is the most that any of them, or the resting access since
 * the first was opened, allowed.
 * 0, -EINVAL (not a secret, not such an access), -EOVERFLOW (65,535 scopes are open), or
 * the refusals of securemem_set_access; this scope is then not open.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_open(void *secret,
                                                      securemem_access access);

/*
 * Closes a scope; the last one returns the secret to its resting access.
 * 0, -EINVAL (not a secret, or no scope is open), or the refusals of
 * securemem_set_access: the secret is then as accessible as before, and the scope stays
 * open.
 */
SECUREMEM_API int securemem_close(void *secret);

#ifdef __cplusplus
}
#endif
#endif
