/* SPDX-License-Identifier: ISC */
#include "lock.h"

#include <securemem.h>

#include "aside.h"

#define HASH_BYTES    32U
#define DELAY         100U /* milliseconds more for each failure, */
#define FAILURES_MOST 100U /* up to ten seconds: as ssh-agent */

struct work {
    unsigned char *hash;
    struct span passphrase;
    const unsigned char *salt;
    bool done;
};

static void hash(void *argument)
{
    struct work *work = argument;
    /* The tables of Argon2 are ordinary memory: they are worth what the hash is worth. */
    work->done = crypto_pwhash(work->hash, HASH_BYTES, (const char *)work->passphrase.at,
                               work->passphrase.size, work->salt,
                               crypto_pwhash_OPSLIMIT_INTERACTIVE,
                               crypto_pwhash_MEMLIMIT_INTERACTIVE,
                               crypto_pwhash_ALG_ARGON2ID13) == 0;
}

static bool derive(unsigned char *out, struct span passphrase, const unsigned char *salt)
{
    struct work work = {.hash = out, .passphrase = passphrase, .salt = salt};
    return aside(hash, &work) && work.done;
}

bool lock_close(struct lock *lock, struct span passphrase)
{
    if (lock->hash != NULL)
        return false;
    unsigned char *made = securemem_alloc(HASH_BYTES);
    if (made == NULL)
        return false;
    randombytes_buf(lock->salt, sizeof lock->salt);
    if (!derive(made, passphrase, lock->salt)) {
        securemem_free(made);
        return false;
    }
    lock->hash = made;
    return true;
}

bool lock_open(struct lock *lock, struct span passphrase, uint64_t now)
{
    if (lock->hash == NULL)
        return false;
    unsigned char *made = securemem_alloc(HASH_BYTES);
    bool right = made != NULL && derive(made, passphrase, lock->salt) &&
                 securemem_equal(made, lock->hash, HASH_BYTES);
    securemem_free(made);
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
