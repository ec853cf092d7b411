/* SPDX-License-Identifier: ISC */
/*
 * Misuse: errors of the caller that memory may already have paid for.
 *
 * The library wipes every secret, writes one line to descriptor 2,
 *
 *      securemem: double free of 0x7f2a4c3d8fe0
 *
 * and calls abort(3). A program that would rather do otherwise sets a handler.
 */
#ifndef SECUREMEM_MISUSE_H
#define SECUREMEM_MISUSE_H

#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum securemem_misuse_kind {
    SECUREMEM_MISUSE_DOUBLE_FREE = 1, /* a secret that was freed already */
    SECUREMEM_MISUSE_INTERIOR = 2, /* a pointer into a region, not to a secret's start */
    SECUREMEM_MISUSE_FOREIGN = 3,  /* a pointer that this library did not hand out */
    SECUREMEM_MISUSE_WRONG_ARENA = 4,  /* securemem_arena_free: it lives in another one */
    SECUREMEM_MISUSE_CANARY = 5,       /* bytes around the secret were overwritten */
    SECUREMEM_MISUSE_NOT_AN_ARENA = 6, /* destroyed already, never made, or the default */
    SECUREMEM_MISUSE_NOT_SEALED =
        7 /* what is freed is no sealed secret, or no more: it is
                                          seen as long as malloc(3) has its memory mapped */
} securemem_misuse_kind;

typedef struct securemem_misuse {
    securemem_misuse_kind kind;
    const void *pointer; /* what the caller gave; for CANARY the secret's start */
    const char *message; /* the line without "securemem: " and newline */
} securemem_misuse;

/*
 * Called instead of wiping and aborting, in the thread that misused, with no lock of the
 * library held. It may call securemem_wipe_all and abort, longjmp, or return: then the
 * call that misused does nothing more. (A secret with a broken canary has by then been
 * wiped and freed as asked.)
 */
typedef void (*securemem_misuse_handler)(const securemem_misuse *misuse, void *user);

/* Sets the handler of the process; NULL restores wipe and abort. */
SECUREMEM_API void securemem_set_misuse_handler(securemem_misuse_handler handler,
                                                void *user);

/*
 * A guarded secret is remembered for a while after its pages are gone, so that a second free
 * of it is told from a foreign pointer: at least the last 512 are. A second free is misuse of
 * another kind where nothing tells that it was a secret: of a packed one whose page is gone
 * (FOREIGN), and where its page has had a secret of another size since (INTERIOR, FOREIGN).
 * Once its address is that of another secret, a free of it frees that one. Two threads that
 * free one secret at the same time, within nanoseconds, may go unseen: the secret is wiped,
 * but may then be handed out twice.
 */

#ifdef __cplusplus
}
#endif
#endif
