/* SPDX-License-Identifier: ISC */
/*
 * Secrets: allocate, resize, compare, wipe, free.
 *
 * A guarded secret of size S, on pages of P bytes:
 *
 *      | guard page | canary ......... |S bytes|pad| guard page |
 *                    \___ whole pages, locked _____/
 *
 * The secret ends at the trailing guard but for 0 to alignment - 1 bytes of padding,
 * which hold canary too; so does everything before it. A read or write past the end
 * faults, at once where there is no padding (alignment 1), else at the latest after it;
 * one before the start faults when S fills whole pages, and else breaks the canary, which
 * securemem_free finds. A secret costs its pages, ceil(S / P) of them, against the lock
 * limit, plus one page for a guard where guards are of the kind SECUREMEM_GUARDS_REGION.
 * Text needs its own terminator: behind a secret there is canary, or a guard.
 */
#ifndef SECUREMEM_SECRET_H
#define SECUREMEM_SECRET_H

#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The alignment of securemem_alloc, in bytes: fit for any object of the C language. */
#define SECUREMEM_ALIGNMENT 16

/*
 * A zero-filled secret of size bytes from the default arena (arena.h), readable and
 * writable, aligned to SECUREMEM_ALIGNMENT. Free it with securemem_free.
 * NULL: ENOMEM, EPERM, ENOTSUP, EAGAIN.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_alloc(size_t size);

/* As securemem_alloc, for count objects of size bytes; ENOMEM where the product
 * overflows. */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_alloc_array(size_t count, size_t size);

/*
 * As securemem_alloc, aligned to alignment bytes: a power of two from 1 to the page size
 * (sysconf(_SC_PAGESIZE)), else EINVAL. With 1, one byte past the end faults.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_alloc_aligned(size_t size,
                                                                 size_t alignment);

/*
 * A secret of size bytes in the arena of the old one that begins with its contents, cut
 * or followed by zeros; what is left is wiped. Alignment, access and open scopes go over.
 * A guarded one always moves and the old one is freed, a packed one stays where its size
 * class is still the same: use the pointer that is returned. NULL, 0 is an allocation;
 * size 0 is not a free. NULL: EINVAL where secret is not a secret, and as
 * securemem_alloc; the old secret is then untouched.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_realloc(void *secret, size_t size);

/*
 * A new secret with the contents, size and alignment of this one, in its arena, readable
 * and writable. The original is read whatever its access, which is put back.
 * NULL: EINVAL where secret is not a secret, and as securemem_alloc.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_dup(const void *secret);

/*
 * Wipes the secret, whatever its access, and releases it: to its arena's idle memory, or
 * to the kernel (securemem_arena_options.idle). NULL does nothing. Where the kernel
 * refuses the access that wiping needs, the secret stays locked and guarded without a
 * user, and the next securemem_arena_trim or securemem_arena_destroy wipes it;
 * securemem_last_error says so. Misuse: see misuse.h. Keeps errno.
 */
SECUREMEM_API void securemem_free(void *secret);

/*
 * The size asked for, in bytes; 0 with errno EINVAL where secret is not a secret: set errno
 * to 0 before, to tell that from a secret of size 0.
 */
SECUREMEM_API size_t securemem_size(const void *secret);

/*
 * 1 where the len bytes at a and b are equal, 0 where not, in a time that depends on len
 * alone (sodium_memcmp). For memory of any kind.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_equal(const void *a, const void *b,
                                                       size_t len);

/*
 * Fills len bytes at ptr with zeros, which no optimiser removes (sodium_memzero). For
 * memory of any kind; on a secret it leaves the allocation as it is. Async-signal-safe.
 */
SECUREMEM_API void securemem_wipe(void *ptr, size_t len);

/*
 * Wipes every secret of every arena of the process, whatever its access; pointers stay
 * valid, contents are zeros. For the moment before the process ends or after an intrusion
 * was seen. Async-signal-safe, takes no lock and waits for no other thread. Secrets that
 * rest closed are open while they are wiped, and closed again: a thread that opens, closes
 * or copies one at this very moment, or makes one in an arena that is closed by mprotect(2)
 * (.protection_key), may see a fault.
 * A secret being allocated meanwhile may be missed: it holds nothing yet. Scratch stacks (scratch.h) come
 * last, and threads that run on one do not survive that, but for the caller.
 * Of the kernel it asks for open, read, mprotect and membarrier(2): a sandbox that answers
 * the last one with an errno is fine, one that ends the process for it is not.
 * Returns the number of secrets that could not be wiped, 0 in all but a sandbox that
 * forbids mprotect(2).
 */
SECUREMEM_API size_t securemem_wipe_all(void);

#ifdef __cplusplus
}
#endif
#endif
