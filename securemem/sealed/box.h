/* SPDX-License-Identifier: ISC */
/*
 * A sealed secret, and the lists of those that may have to be sealed anew.
 *
 *      stripe[class]   | retired ... retired | current ... current |
 *                      where what is retired, but open, may stand anywhere
 *
 * Which stripe is the business of the thread that sealed it. Its lock guards the list, and
 * key, number, tag and bytes where they change; users keep them from changing:
 *
 *      users    n            n threads unseal it, without the lock
 *               | BUSY       it is sealed anew, with the lock held, once n is 0
 *               | epoch << 32   of the process whose threads they are
 *      scopes   see scopes.h
 *               | WRITTEN    one of them for writing
 */
#ifndef SMEM_BOX_H
#define SMEM_BOX_H

#include <securemem/sealed.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sealed/aead.h"
#include "sealed/key.h"
#include "secret/scopes.h"

#define SMEM_BOX_BUSY ((uint64_t)1 << 31)

#define SMEM_SCOPE_WRITTEN ((uint32_t)1 << 16)

struct securemem_sealed {
    uint64_t mark; /* tells it from other memory */
    struct securemem_sealed *next, *previous;
    struct smem_sealing_key *key;
    void *opened;               /* what scopes are open on, a secret */
    _Atomic uint32_t opened_in; /* the epoch of the process in which it was seen whole */
    _Atomic uint64_t users;
    smem_scopes scopes;
    uint32_t stripe, class;
    bool listed;
    size_t size;
    uint64_t number; /* the nonce */
    unsigned char tag[SMEM_AEAD_TAG_BYTES];
    unsigned char bytes[]; /* the ciphertext */
};

/* A new one for size bytes, used by the caller alone, or NULL where memory is short. */
struct securemem_sealed *smem_box_make(size_t size, unsigned class);
void smem_box_end(struct securemem_sealed *box);

/* 0, or -EINVAL, recorded for that operation, where pointer is none. */
int smem_box_need(const char *operation, const struct securemem_sealed *pointer);
bool smem_box_is(const struct securemem_sealed *pointer);

/* The stripe of the calling thread. */
unsigned smem_box_stripe(void);

/* With its stripe held, after its key was set: behind all others of its class. */
void smem_box_link(struct securemem_sealed *box);
void smem_box_unlink(struct securemem_sealed *box);

/* With its stripe held, where it is closed, and still under a retired key: before all others. */
void smem_box_prefer(struct securemem_sealed *box);

/* Keys were wiped, by another thread or a signal handler, while one was in use. */
#define SMEM_BOX_WIPED 1

/*
 * Encrypts plain into the box under its key. 0; SMEM_BOX_WIPED, the box is then of no use;
 * or a negative errno, recorded, where the key could not be opened: nothing was written.
 */
int smem_box_lock(struct securemem_sealed *box, const void *plain);

/* 0, or -ENOKEY, recorded for that operation, where its key is gone. */
int smem_box_need_key(const char *operation, const struct securemem_sealed *box);

/*
 * Decrypts the box to plain. 0, -EBADMSG (plain is zeros), -ENOKEY or what the kernel
 * refused, recorded for that operation.
 */
int smem_box_unlock(const char *operation, const struct securemem_sealed *box,
                    void *plain);

/* Between the two, which other threads may do as well, the box does not change. */
void smem_box_enter(struct securemem_sealed *box);
void smem_box_leave(struct securemem_sealed *box);

/*
 * With its stripe held, until smem_box_give: no thread unseals it. The first is false where
 * one does; the second waits for those that do, none of which needs the stripe.
 */
bool smem_box_claim(struct securemem_sealed *box);
void smem_box_take(struct securemem_sealed *box);
void smem_box_give(struct securemem_sealed *box);

/*
 * With its stripe held, and taken: gives the box another key and seals plain with it, the
 * box's contents. As smem_box_lock; refused, it is as before.
 */
int smem_box_reseal(struct securemem_sealed *box, struct smem_sealing_key *key,
                    const void *plain);

/*
 * With its stripe held, and claimed: seals what is sealed in it anew, with that key. False,
 * another time, where memory is short.
 */
bool smem_box_renew(struct securemem_sealed *box, struct smem_sealing_key *key);

/*
 * After each call of the chapter, in its smem_misuse_hold: seals one secret anew whose key is
 * retired.
 */
void smem_box_advance(void);

#endif
