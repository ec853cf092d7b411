/* SPDX-License-Identifier: ISC */
#include "lock.h"

#include <securemem.h>

#define HASH_BYTES    32U
#define DELAY         100U /* milliseconds more for each failure, */
#define FAILURES_MOST 100U /* up to ten seconds: as ssh-agent */

static bool derive(unsigned char *hash, struct span passphrase, const unsigned char *salt)
{
    /* The tables of Argon2 are ordinary memory: they are worth what the hash is worth. */
    return crypto_pwhash(hash, HASH_BYTES, (const char *)passphrase.at, passphrase.size,
                         salt, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                         crypto_pwhash_MEMLIMIT_INTERACTIVE,
                         crypto_pwhash_ALG_ARGON2ID13) == 0;
}

bool lock_close(struct lock *lock, struct span passphrase)
{
    if (lock->hash != NULL)
        return false;
    unsigned char *hash = securemem_alloc(HASH_BYTES);
    if (hash == NULL)
        return false;
    randombytes_buf(lock->salt, sizeof lock->salt);
    if (!derive(hash, passphrase, lock->salt)) {
        securemem_free(hash);
        return false;
    }
    lock->hash = hash;
    return true;
}

bool lock_open(struct lock *lock, struct span passphrase, uint64_t now)
{
    if (lock->hash == NULL)
        return false;
    unsigned char *hash = securemem_alloc(HASH_BYTES);
    bool right = hash != NULL && derive(hash, passphrase, lock->salt) &&
                 securemem_equal(hash, lock->hash, HASH_BYTES);
    securemem_free(hash);
    if (right) {
        lock_end(lock);
        return true;
    }
    lock->failures += lock->failures < FAILURES_MOST;
    lock->not_before = now + (uint64_t)lock->failures * DELAY;
    return false;
}

void lock_end(struct lock *lock)
{
    securemem_free(lock->hash);
    *lock = (struct lock){0};
}
