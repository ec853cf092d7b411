/* SPDX-License-Identifier: ISC */
/* Secrets sealed, unsealed, ended. */
#include <errno.h>
#include <securemem/sealed.h>
#include <securemem/secret.h>

#include "region/error.h"
#include "region/fork.h"
#include "region/locks.h"
#include "sealed/box.h"
#include "secret/canary.h"
#include "secret/fill.h"
#include "secret/misuse.h"

/* NULL and errno for a negative result. */
static void *refuse(int result)
{
    errno = -result;
    return NULL;
}

/* With its stripe held: the box is no longer sealed under its key. */
static void detach(struct securemem_sealed *box)
{
    if (box->listed) {
        smem_key_settle(box->key);
        smem_box_unlink(box);
    }
    smem_key_drop(box->key);
}

static void attach(struct securemem_sealed *box, struct smem_sealing_key *key)
{
    box->key = key;
    atomic_fetch_add(&key->sealed, 1);
    smem_box_link(box);
}

/* Encrypts into a new box; again, where the key is wiped by another thread meanwhile. */
static int fill(struct securemem_sealed *box, const void *secret)
{
    int result;
    box->stripe = smem_box_stripe();
    do {
        struct smem_sealing_key *key;
        result = smem_key_acquire(box->class, box->stripe, &key);
        if (result != 0)
            return result;
        attach(box, key);
        smem_unlock_sealed(box->stripe);
        result = smem_box_lock(box, secret);
        if (result != 0) {
            smem_lock_sealed(box->stripe);
            detach(box);
            smem_unlock_sealed(box->stripe);
        }
    } while (result == SMEM_BOX_WIPED);
    return result;
}

securemem_sealed *securemem_seal(const void *secret, size_t size, unsigned flags)
{
    static const char operation[] = "securemem_seal";
    smem_fork_check();
    if (flags >= SMEM_SEAL_CLASSES)
        return refuse(smem_error_argument(operation, "an unknown flag is set"));
    if (secret == NULL)
        return refuse(smem_error_argument(operation, "secret is NULL"));
    if (smem_seal_arena(flags) == NULL)
        return NULL;
    if (size > smem_aead()->largest)
        return refuse(
            smem_error_argument(operation, "the cipher takes no more than 64 GiB"));
    struct securemem_sealed *box = smem_box_make(size, flags);
    if (box == NULL)
        return refuse(
            smem_error_own(operation, ENOMEM,
                           "no memory for the ciphertext; free memory, or raise "
                           "the memory limit of the process or its control group"));
    smem_misuse_hold();
    int result = fill(box, secret);
    if (result == 0)
        smem_box_leave(box);
    else
        smem_box_end(box);
    smem_box_advance();
    smem_misuse_resume();
    return result == 0 ? box : refuse(result);
}

static int unseal(const char *operation, securemem_sealed *sealed, void *secret)
{
    smem_misuse_hold();
    smem_box_enter(sealed);
    int result = smem_box_unlock(operation, sealed, secret);
    smem_box_leave(sealed);
    smem_box_advance();
    smem_misuse_resume();
    return result;
}

void *securemem_unseal(securemem_sealed *sealed, securemem_arena *arena)
{
    static const char operation[] = "securemem_unseal";
    smem_fork_check();
    int result = smem_box_need(operation, sealed);
    if (result != 0)
        return refuse(result);
    if (arena == NULL)
        arena = smem_seal_arena(sealed->class);
    void *secret = smem_fill_begin(arena, sealed->size);
    if (secret == NULL)
        return NULL;
    result = unseal(operation, sealed, secret);
    if (result == 0)
        return smem_fill_end(arena, secret);
    securemem_free(secret);
    (void)smem_fill_end(arena, NULL);
    return refuse(result);
}

int securemem_unseal_into(securemem_sealed *sealed, void *secret, size_t size)
{
    static const char operation[] = "securemem_unseal_into";
    smem_fork_check();
    int result = smem_box_need(operation, sealed);
    if (result != 0)
        return result;
    if (secret == NULL || size != sealed->size)
        return smem_error_argument(operation, "size is not what was sealed");
    return unseal(operation, sealed, secret);
}

size_t securemem_sealed_size(const securemem_sealed *sealed)
{
    smem_fork_check();
    int result = smem_box_need("securemem_sealed_size", sealed);
    if (result == 0)
        return sealed->size;
    errno = -result;
    return 0;
}

int securemem_sealed_rotate(void)
{
    smem_fork_check();
    int result = 0;
    smem_misuse_hold();
    for (unsigned class = 0; class < SMEM_SEAL_CLASSES; class ++) {
        int rotated = smem_key_rotate(class);
        if (rotated != 0)
            result = rotated;
    }
    smem_misuse_resume();
    return result;
}

const char *securemem_sealed_cipher(void)
{
    (void)smem_canary_ready(); /* libsodium, too, looks at the processor */
    return smem_aead()->name;
}

void securemem_sealed_free(securemem_sealed *sealed)
{
    if (sealed == NULL)
        return;
    smem_fork_check();
    if (!smem_box_is(sealed)) {
        smem_misuse(SECUREMEM_MISUSE_NOT_SEALED, sealed);
        return;
    }
    int saved_errno = errno;
    smem_misuse_hold();
    smem_lock_sealed(sealed->stripe);
    detach(sealed);
    smem_unlock_sealed(sealed->stripe);
    securemem_free(sealed->opened);
    smem_box_end(sealed);
    smem_box_advance();
    smem_misuse_resume();
    errno = saved_errno;
}
