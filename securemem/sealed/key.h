/* SPDX-License-Identifier: ISC */
/*
 * Sealing keys: one in use for each class, and retired ones for as long as something is
 * sealed under them.
 *
 *      class     the flags of securemem_seal
 *      current   draws new nonces; of this process, not wiped
 *      retired   opens what was sealed under it, until that is sealed anew
 *      lost      wiped (securemem_wipe_all), or not inherited: opens nothing
 *
 * A class's current key is exchanged with every sealed lock held, so that it stays what it
 * is for a thread that holds one of them (region/locks.h).
 */
#ifndef SMEM_KEY_H
#define SMEM_KEY_H

#include <securemem/arena.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealed/aead.h"

#define SMEM_SEAL_CLASSES 4U

struct smem_sealing_material;

struct smem_sealing_key {
    struct smem_sealing_material *material; /* a secret */
    unsigned class, wipes;                  /* smem_wipe_count() when it was drawn */
    uint32_t rights;              /* bits of its protection key; 0: it has none */
    uint32_t epoch;               /* of the process that draws nonces from it */
    _Atomic uint64_t next;        /* nonce; goes on by a message's blocks */
    _Atomic size_t sealed;        /* secrets under it */
    atomic_bool retired, pending; /* what is under it is to be sealed anew */
};

/* Where what is open of that class is; NULL and errno. */
securemem_arena *smem_seal_arena(unsigned class);

/* Locks that stripe with *out as the current key; or 0 is not given: unlocked, recorded. */
int smem_key_acquire(unsigned class, unsigned stripe, struct smem_sealing_key **out);

/* Under a stripe: the current key of the class, or NULL where there is none to seal with. */
struct smem_sealing_key *smem_key_current(unsigned class);

/* Exchanges the current key of the class, where it has one. 0 or a negative errno, recorded. */
int smem_key_rotate(unsigned class);

/* Whether it still opens what was sealed under it. */
bool smem_key_is_whole(const struct smem_sealing_key *key);

/* Under a stripe: one secret less is sealed under it; the last of a retired one ends it. */
void smem_key_drop(struct smem_sealing_key *key);

/* The nonce for a message of size bytes. */
uint64_t smem_key_number(struct smem_sealing_key *key, size_t size);

/*
 * The key as the cipher wants it, until smem_key_close, and rights of this thread to it;
 * for a shielded one it is derived, which may be refused: 0 or a negative errno, recorded.
 */
struct smem_opened_key {
    const union smem_aead_key *key;
    void *derived;           /* a secret, or NULL */
    uint32_t rights, before; /* of the thread, to the key's pages */
};
int smem_key_open(const struct smem_sealing_key *key, struct smem_opened_key *out);
void smem_key_close(struct smem_opened_key *opened);

/* Secrets to be sealed anew, of the process. */
size_t smem_key_pending(void);

/* Under a stripe: one of them less. */
void smem_key_settle(const struct smem_sealing_key *key);

#endif
