/* SPDX-License-Identifier: ISC */
/* Scopes on a sealed secret. One that is open already is entered without a lock. */
#include <errno.h>
#include <securemem/sealed.h>
#include <securemem/secret.h>

#include "region/epoch.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "sealed/box.h"
#include "secret/misuse.h"
#include "secret/place.h"

/*
 * Whether what is open was wiped in this child, or one before it, whose lock on it was
 * refused: it is asked once after each fork.
 */
static bool is_lost(securemem_sealed *sealed)
{
    uint32_t here = smem_epoch();
    if (atomic_load_explicit(&sealed->opened_in, memory_order_relaxed) == here)
        return false;
    if (smem_place_is_wiped(sealed->opened))
        return true;
    atomic_store_explicit(&sealed->opened_in, here, memory_order_relaxed);
    return false;
}

/* 0, or -ENOKEY, recorded, where zeros are all that scopes are open on. */
static int need_contents(const char *operation, securemem_sealed *sealed)
{
    int result = smem_box_need_key(operation, sealed);
    if (result != 0 || !is_lost(sealed))
        return result;
    return smem_error_own(
        operation, ENOKEY,
        "what is open of it was wiped in this child, for want of a lock "
        "on its page; close its scopes, and open it again");
}

/* With the stripe held: the first scope. */
static int open_first(const char *operation, securemem_sealed *sealed, uint32_t written)
{
    void *secret = securemem_arena_alloc(smem_seal_arena(sealed->class), sealed->size);
    if (secret == NULL)
        return -errno;
    int result = smem_box_unlock(operation, sealed, secret);
    if (result != 0) {
        securemem_free(secret);
        return result;
    }
    sealed->opened = secret;
    atomic_store_explicit(&sealed->opened_in, smem_epoch(), memory_order_relaxed);
    atomic_store_explicit(&sealed->scopes, 1 | written, memory_order_release);
    return 0;
}

/* With the stripe held. Others may be left meanwhile, but for the last. */
static int open_locked(const char *operation, securemem_sealed *sealed, uint32_t written)
{
    while (!smem_scopes_enter(&sealed->scopes, 0, written)) {
        uint32_t scopes = atomic_load_explicit(&sealed->scopes, memory_order_relaxed);
        if (smem_scopes_are_full(scopes))
            return smem_error_own(
                operation, EOVERFLOW,
                "65535 scopes are open on the sealed secret; close some");
        if (!smem_scopes_are_open(scopes))
            return open_first(operation, sealed, written);
    }
    return 0;
}

static int open_slowly(const char *operation, securemem_sealed *sealed, uint32_t written)
{
    smem_misuse_hold();
    smem_lock_sealed(sealed->stripe);
    int result = open_locked(operation, sealed, written);
    smem_unlock_sealed(sealed->stripe);
    smem_box_advance();
    smem_misuse_resume();
    return result;
}

/* There is no current key, and one is needed. */
#define NEEDS_KEY 1

/* Under the new key comes what was sealed, not what is open; refused, another time. */
static int seal_unchanged(securemem_sealed *sealed, struct smem_sealing_key *key)
{
    if (!smem_box_claim(sealed))
        return 0;
    int saved_errno = errno;
    smem_error_hold();
    (void)smem_box_renew(sealed, key);
    smem_error_resume();
    smem_box_give(sealed);
    errno = saved_errno;
    return 0;
}

/* With the stripe held and the one scope CLOSING: seals what is to be sealed anew. */
static int seal_opened(securemem_sealed *sealed, bool written,
                       struct smem_sealing_key *key)
{
    if (!smem_key_is_whole(sealed->key))
        return 0; /* with it, what is open was wiped: lost it stays */
    if (is_lost(sealed))
        return 0; /* as it was sealed before */
    if (!written && (key == NULL || !atomic_load(&sealed->key->retired)))
        return 0;
    if (key == NULL)
        return NEEDS_KEY;
    if (!written)
        return seal_unchanged(sealed, key);
    /* The program may have closed it meanwhile, as any secret. */
    int result = securemem_open(sealed->opened, SECUREMEM_READ);
    if (result != 0)
        return result;
    smem_box_take(sealed);
    result = smem_box_reseal(sealed, key, sealed->opened);
    smem_box_give(sealed);
    (void)securemem_close(sealed->opened); /* refused, it is open: it ends in a moment */
    return result == SMEM_BOX_WIPED ? 0 : result;
}

/* With the stripe held, and the current key, if any: one scope less. */
static int close_locked(securemem_sealed *sealed, struct smem_sealing_key *key,
                        void **opened)
{
    for (;;) {
        if (smem_scopes_leave(&sealed->scopes))
            return 0;
        uint32_t scopes = atomic_load_explicit(&sealed->scopes, memory_order_relaxed);
        if ((scopes & SMEM_SCOPES_COUNT) == 0)
            return smem_error_argument("securemem_sealed_close",
                                       "no scope is open on the sealed secret");
        if ((scopes & SMEM_SCOPES_COUNT) > 1 ||
            !atomic_compare_exchange_strong(&sealed->scopes, &scopes,
                                            scopes | SMEM_SCOPES_CLOSING))
            continue;
        int result = seal_opened(sealed, (scopes & SMEM_SCOPE_WRITTEN) != 0, key);
        if (result == 0) {
            *opened = sealed->opened;
            sealed->opened = NULL;
            scopes = 0;
            if (atomic_load(&sealed->key->retired))
                smem_box_prefer(sealed);
        }
        atomic_store_explicit(&sealed->scopes, scopes, memory_order_release);
        return result;
    }
}

/* A key is drawn where one is needed and there is none, as in a forked child. */
static int close_slowly(securemem_sealed *sealed)
{
    void *opened = NULL;
    bool needed = false;
    int result;
    do {
        struct smem_sealing_key *key;
        if (needed) {
            result = smem_key_acquire(sealed->class, sealed->stripe, &key);
            if (result != 0)
                return result;
        } else {
            smem_lock_sealed(sealed->stripe);
            key = smem_key_current(sealed->class);
        }
        result = close_locked(sealed, key, &opened);
        smem_unlock_sealed(sealed->stripe);
        needed = result == NEEDS_KEY;
    } while (needed);
    securemem_free(opened);
    smem_box_advance();
    return result;
}

static int close_scope(securemem_sealed *sealed)
{
    if (smem_scopes_leave(&sealed->scopes))
        return 0;
    smem_misuse_hold();
    int result = close_slowly(sealed);
    smem_misuse_resume();
    return result;
}

void *securemem_sealed_open(securemem_sealed *sealed, securemem_access access)
{
    static const char operation[] = "securemem_sealed_open";
    smem_fork_check();
    int result = smem_box_need(operation, sealed);
    if (result == 0 && access != SECUREMEM_READ && access != SECUREMEM_WRITE)
        result = smem_error_argument(
            operation, "access is neither SECUREMEM_READ nor SECUREMEM_WRITE");
    if (result == 0) {
        uint32_t written = access == SECUREMEM_WRITE ? SMEM_SCOPE_WRITTEN : 0;
        if (!smem_scopes_enter(&sealed->scopes, 0, written))
            result = open_slowly(operation, sealed, written);
    }
    if (result == 0) {
        /* What others have open was wiped with the key: zeros are no secret. */
        result = need_contents(operation, sealed);
        if (result == 0)
            return sealed->opened;
        (void)close_scope(sealed); /* without its key, nothing is sealed: not refused */
    }
    errno = -result;
    return NULL;
}

int securemem_sealed_close(securemem_sealed *sealed)
{
    smem_fork_check();
    int result = smem_box_need("securemem_sealed_close", sealed);
    return result != 0 ? result : close_scope(sealed);
}
