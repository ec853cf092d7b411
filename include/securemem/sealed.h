/* SPDX-License-Identifier: ISC */
/*
 * Sealed secrets: encrypted where they lie, in ordinary memory, any number of them, and
 * opened into a secret for as long as they are needed. A million of them lock no more
 * memory than one.
 *
 *      securemem_sealed *idle = securemem_seal(key, 32, 0);
 *      if (idle != NULL)
 *          securemem_free(key);       (refused, it is the only copy)
 *      ...
 *      unsigned char *open = securemem_sealed_open(idle, SECUREMEM_READ);
 *      sign(open, ...);
 *      securemem_sealed_close(idle);
 *
 *      heap      | number, tag, ciphertext |  | number, tag, ciphertext |  ...
 *      secrets   | sealing key |   | what is open now |
 *
 * A sealing key is drawn at random when the first secret is sealed, is a secret itself,
 * locked and guarded, and never leaves the process. Where the processor has protection keys
 * it lies behind one of the 15 of the process, with another for SECUREMEM_SEAL_KEEP: no
 * thread reaches it but while the cipher runs there (arena.h). The cipher is libsodium's fastest on
 * this processor: AEGIS-128L (libsodium 1.0.19 and instructions for AES), AES-256-GCM with
 * the key expanded once (instructions for AES), else XChaCha20-Poly1305-IETF. Size and
 * address of each sealed secret are authenticated with it: one that was changed by a bit,
 * or exchanged for another, is refused. Nonces are counted, never repeated under a key,
 * and no two processes seal with the same key: a forked child draws its own.
 *
 * Sealing costs what the cipher costs: for a small secret two fifths to a fifteenth of
 * a pair of mprotect(2) in a process of one thread, a fifth to a fourteenth with a second one
 * running. What it stops is the reader of memory who does not see the sealing key: a
 * swapped or dumped heap, an over-read of neighbours. Code that runs inside of the process
 * can open what the process can open.
 *
 * securemem_wipe_all wipes sealing keys too: what was sealed before is then lost.
 */
#ifndef SECUREMEM_SEALED_H
#define SECUREMEM_SEALED_H

#include <securemem/access.h>
#include <securemem/arena.h>
#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A secret as ciphertext; it never moves. */
typedef struct securemem_sealed securemem_sealed;

/*
 * How a secret is sealed; they may be combined.
 *
 * SHIELDED  The sealing key is not kept: for each use it is derived from 16 KiB of random
 *           bytes (BLAKE2b), all of which a reader of memory would have to get. Each seal
 *           and unseal costs 20 to 40 microseconds more.
 * KEEP      A forked child can open it (SECUREMEM_FORK_KEEP); without it, a child finds
 *           that the sealing key is gone.
 */
typedef enum securemem_seal_flags {
    SECUREMEM_SEAL_SHIELDED = 1,
    SECUREMEM_SEAL_KEEP = 2
} securemem_seal_flags;

/*
 * Seals size bytes, which stay as they are: the caller wipes or frees them. secret may be
 * memory of any kind that is readable. Free what it gives with securemem_sealed_free, never
 * with free(3). The first one takes 4 KiB of the lock limit for the sealing key, the first
 * shielded one 24 KiB, and those with SECUREMEM_SEAL_KEEP have keys of their own, of the same
 * sizes: seal one of each kind at start-up, not when the limit is full.
 * NULL: EINVAL (an unknown flag; more than 64 GiB), ENOMEM, EPERM, ENOTSUP, EAGAIN.
 */
SECUREMEM_API SECUREMEM_USE_RESULT securemem_sealed *
securemem_seal(const void *secret, size_t size, unsigned flags);

/*
 * A new secret with what was sealed; the sealed one stays. arena NULL: one of the library's
 * own, whose secrets are guarded and which keeps up to four pages idle.
 * NULL: EINVAL (not a sealed secret), EBADMSG (it was altered), ENOKEY (its key is gone:
 * wiped, or not inherited by this child), and as securemem_arena_alloc.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_unseal(securemem_sealed *sealed,
                                                          securemem_arena *arena);

/*
 * The same into memory that is there, of just the size that was sealed.
 * 0, -EINVAL (not a sealed secret, or of another size), -EBADMSG (the memory is then
 * zeros), -ENOKEY; SHIELDED: -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN as well.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_unseal_into(securemem_sealed *sealed,
                                                             void *secret, size_t size);

/*
 * Opens a scope: the secret, readable and writable, at one place for all scopes that are
 * open on it, in this and other threads. It is unsealed when the first is opened, in a
 * guarded secret of the library's own, which must not be freed (the close would then be a
 * double free). It is writable even where all scopes only read. With SECUREMEM_WRITE what
 * is there at the last close is sealed anew; where all were opened with SECUREMEM_READ,
 * changes are dropped.
 * NULL: EINVAL (not a sealed secret, not such an access), EBADMSG, ENOKEY (also where it is
 * open: what is there was wiped), EOVERFLOW
 * (65,535 scopes are open), and as securemem_alloc.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_sealed_open(securemem_sealed *sealed,
                                                               securemem_access access);

/*
 * Closes a scope; the last one wipes the secret. Where it was written, that one waits for
 * threads that unseal it meanwhile: they find what was sealed before.
 * 0, -EINVAL (not a sealed secret, or no scope is open), or, where there is no key to seal
 * what was written, -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN: the scope then stays open. Where
 * the sealing key was wiped, what is open was wiped too, and the sealed secret stays lost.
 */
SECUREMEM_API int securemem_sealed_close(securemem_sealed *sealed);

/* The size in bytes of what was sealed; 0 with errno EINVAL where it is no sealed secret. */
SECUREMEM_API size_t securemem_sealed_size(const securemem_sealed *sealed);

/*
 * Draws new sealing keys. What is sealed under the old ones is sealed anew, one with each
 * later call of this chapter, and when a scope on it is closed; an old key is wiped when
 * nothing is left under it. The library does it by itself after 2^40 blocks of 16 bytes.
 * 0, -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN: a key that could not be drawn stays in use.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_sealed_rotate(void);

/* The cipher in use, as "aegis128l", "aes256gcm" or "xchacha20poly1305". */
SECUREMEM_API const char *securemem_sealed_cipher(void);

/*
 * Ends a sealed secret, and what is open of it. NULL does nothing; what is not a sealed
 * secret is misuse (SECUREMEM_MISUSE_NOT_SEALED). Keeps errno.
 */
SECUREMEM_API void securemem_sealed_free(securemem_sealed *sealed);

#ifdef __cplusplus
}
#endif
#endif
