/* SPDX-License-Identifier: ISC */
#include "sealed/box.h"

#include <errno.h>
#include <securemem/secret.h>
#include <sodium.h>
#include <string.h>

#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/registry.h"
#include "region/wipe.h"
#include "secret/thread_local.h"

#define MARK ((uint64_t)0x9d5ea1ed00c0ffeeU)

#define EPOCH_SHIFT 32U

/* With the size in it, what was overwritten is not taken for its length. */
static uint64_t mark_of(const struct securemem_sealed *box)
{
    return (MARK ^ (uintptr_t)box) + box->size;
}

/* Of this process, none. */
static uint64_t no_users(void)
{
    return (uint64_t)smem_epoch() << EPOCH_SHIFT;
}

/* Those of a parent's other threads are not in its child. */
static uint64_t users_here(uint64_t users)
{
    return users >> EPOCH_SHIFT == smem_epoch() ? users : no_users();
}

struct securemem_sealed *smem_box_make(size_t size, unsigned class)
{
    struct securemem_sealed *box = NULL;
    size_t bytes;
    if (!__builtin_add_overflow(sizeof *box, size, &bytes))
        box = smem_heap_take(bytes);
    if (box == NULL)
        return NULL;
    *box = (struct securemem_sealed){.class = class, .size = size};
    box->mark = mark_of(box);
    atomic_store_explicit(&box->users, no_users() + 1, memory_order_relaxed);
    return box;
}

void smem_box_end(struct securemem_sealed *box)
{
    *(volatile uint64_t *)&box->mark = 0;
    smem_heap_give(box);
}

/* A secret, taken for a sealed one, may be closed, or shorter than what is read of it. */
bool smem_box_is(const struct securemem_sealed *pointer)
{
    return pointer != NULL &&
           (uintptr_t)pointer % _Alignof(struct securemem_sealed) == 0 &&
           smem_registry_find(pointer) == NULL && pointer->mark == mark_of(pointer);
}

int smem_box_need(const char *operation, const struct securemem_sealed *pointer)
{
    return smem_box_is(pointer)
               ? 0
               : smem_error_argument(operation, "it is not a sealed secret");
}

unsigned smem_box_stripe(void)
{
    static atomic_uint next;
    static SMEM_THREAD_LOCAL unsigned mine; /* and one, so that zero is none */
    if (mine == 0)
        mine = 1 + atomic_fetch_add(&next, 1) % SMEM_SEALED_STRIPES;
    return mine - 1;
}

static struct smem_aead_label label_of(const struct securemem_sealed *box)
{
    return (struct smem_aead_label){.address = (uintptr_t)box, .size = box->size};
}

int smem_box_lock(struct securemem_sealed *box, const void *plain)
{
    struct smem_opened_key opened;
    int result = smem_key_open(box->key, &opened);
    if (result != 0)
        return result;
    struct smem_aead_label label = label_of(box);
    box->number = smem_key_number(box->key, box->size);
    smem_aead()->encrypt(box->bytes, box->tag, plain, &label, box->number, opened.key);
    smem_key_close(&opened);
    smem_aead_forget_cipher();
    if (smem_key_is_whole(box->key))
        return 0;
    memset(box->bytes, 0, box->size); /* under a key of zeros, perhaps */
    return SMEM_BOX_WIPED;
}

int smem_box_need_key(const char *operation, const struct securemem_sealed *box)
{
    if (smem_key_is_whole(box->key))
        return 0;
    return smem_error_own(
        operation, ENOKEY,
        "the sealing key is gone: it was wiped, or not inherited by this "
        "child; seal the secret again from its source, and with "
        "SECUREMEM_SEAL_KEEP where children are to open it");
}

int smem_box_unlock(const char *operation, const struct securemem_sealed *box,
                    void *plain)
{
    struct smem_opened_key opened;
    int result = smem_box_need_key(operation, box);
    if (result == 0)
        result = smem_key_open(box->key, &opened);
    if (result != 0)
        return result;
    struct smem_aead_label label = label_of(box);
    bool intact = smem_aead()->decrypt(plain, box->bytes, box->tag, &label, box->number,
                                       opened.key);
    smem_key_close(&opened);
    smem_aead_forget_cipher();
    if (smem_wipe_came(box->key->wipes)) {
        /* In the midst, with a key that went to zeros; or behind who wiped this place. */
        sodium_memzero(plain, box->size);
        return smem_box_need_key(operation, box);
    }
    if (intact)
        return 0;
    result = smem_box_need_key(operation, box);
    if (result != 0)
        return result;
    return smem_error_own(operation, EBADMSG,
                          "the sealed secret was altered after it was sealed");
}

void smem_box_enter(struct securemem_sealed *box)
{
    uint64_t users = atomic_load_explicit(&box->users, memory_order_relaxed);
    for (;;) {
        uint64_t here = users_here(users);
        if ((here & SMEM_BOX_BUSY) != 0) {
            smem_lock_sealed(box->stripe); /* held for as long as it is busy */
            smem_unlock_sealed(box->stripe);
            users = atomic_load_explicit(&box->users, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&box->users, &users, here + 1,
                                                         memory_order_acquire,
                                                         memory_order_relaxed)) {
            return;
        }
    }
}

void smem_box_leave(struct securemem_sealed *box)
{
    atomic_fetch_sub_explicit(&box->users, 1, memory_order_release);
}

bool smem_box_claim(struct securemem_sealed *box)
{
    uint64_t users = atomic_load(&box->users), none = no_users();
    return users_here(users) == none &&
           atomic_compare_exchange_strong(&box->users, &users, none | SMEM_BOX_BUSY);
}

void smem_box_take(struct securemem_sealed *box)
{
    uint64_t users = atomic_load(&box->users);
    while (!atomic_compare_exchange_weak(&box->users, &users,
                                         users_here(users) | SMEM_BOX_BUSY))
        continue;
    while (atomic_load(&box->users) != (no_users() | SMEM_BOX_BUSY))
        smem_kernel_yield();
}

void smem_box_give(struct securemem_sealed *box)
{
    atomic_store_explicit(&box->users, no_users(), memory_order_release);
}

int smem_box_reseal(struct securemem_sealed *box, struct smem_sealing_key *key,
                    const void *plain)
{
    struct smem_sealing_key *old = box->key;
    box->key = key;
    int result = smem_box_lock(box, plain);
    if (result < 0) {
        box->key = old;
        return result;
    }
    if (box->listed) {
        smem_key_settle(old);
        smem_box_unlink(box);
    }
    atomic_fetch_add(&key->sealed, 1);
    smem_box_link(box);
    smem_key_drop(old);
    return result;
}
