/* SPDX-License-Identifier: ISC */
/* Which secrets are sealed, oldest key first, and those whose key is retired. */
#include <errno.h>
#include <securemem/secret.h>

#include "region/error.h"
#include "region/locks.h"
#include "region/metadata.h"
#include "sealed/box.h"

/* How many that cannot be sealed anew now are looked past at once. */
#define LOOKS 8

struct stripe {
    _Alignas(SMEM_CACHE_LINE) struct securemem_sealed *first[SMEM_SEAL_CLASSES];
    struct securemem_sealed *last[SMEM_SEAL_CLASSES];
};

static struct stripe stripes[SMEM_SEALED_STRIPES];

void smem_box_link(struct securemem_sealed *box)
{
    struct stripe *stripe = &stripes[box->stripe];
    struct securemem_sealed *last = stripe->last[box->class];
    box->previous = last;
    box->next = NULL;
    if (last == NULL)
        stripe->first[box->class] = box;
    else
        last->next = box;
    stripe->last[box->class] = box;
    box->listed = true;
}

void smem_box_unlink(struct securemem_sealed *box)
{
    struct stripe *stripe = &stripes[box->stripe];
    if (box->previous == NULL)
        stripe->first[box->class] = box->next;
    else
        box->previous->next = box->next;
    if (box->next == NULL)
        stripe->last[box->class] = box->previous;
    else
        box->next->previous = box->previous;
    box->listed = false;
}

void smem_box_prefer(struct securemem_sealed *box)
{
    struct stripe *stripe = &stripes[box->stripe];
    if (!box->listed)
        return;
    smem_box_unlink(box);
    struct securemem_sealed *first = stripe->first[box->class];
    box->previous = NULL;
    box->next = first;
    if (first == NULL)
        stripe->last[box->class] = box;
    else
        first->previous = box;
    stripe->first[box->class] = box;
    box->listed = true;
}

/* Any number of them may be open for any time, and are in nobody's way. */
static void defer(struct securemem_sealed *box)
{
    smem_box_unlink(box);
    smem_box_link(box);
}

/* Never again to be sealed anew: its key is gone, or it was altered. */
static void give_up(struct securemem_sealed *box)
{
    smem_key_settle(box->key);
    smem_box_unlink(box);
}

/* A secret of the stripe and class that can be sealed anew now, kept from all users. */
static struct securemem_sealed *claim(unsigned stripe, unsigned class)
{
    struct securemem_sealed *box = stripes[stripe].first[class], *next;
    for (unsigned i = 0; i < LOOKS && box != NULL && atomic_load(&box->key->retired);
         i++, box = next) {
        next = box->next;
        if (!smem_key_is_whole(box->key))
            give_up(box);
        else if (atomic_load(&box->scopes) != 0)
            defer(box);
        else if (smem_box_claim(box))
            return box;
    }
    return NULL;
}

bool smem_box_renew(struct securemem_sealed *box, struct smem_sealing_key *key)
{
    void *plain = securemem_arena_alloc(smem_seal_arena(box->class), box->size);
    if (plain == NULL)
        return false;
    int result = smem_box_unlock("securemem_sealed_rotate", box, plain);
    if (result == 0)
        result = smem_box_reseal(box, key, plain);
    else if ((result == -EBADMSG || result == -ENOKEY) && box->listed)
        give_up(box);
    securemem_free(plain);
    return result == 0;
}

/* Whether a secret of the stripe was sealed anew. */
static bool advance(unsigned stripe, unsigned class)
{
    bool done = false;
    smem_lock_sealed(stripe);
    struct smem_sealing_key *key = smem_key_current(class);
    struct securemem_sealed *box = key == NULL ? NULL : claim(stripe, class);
    if (box != NULL) {
        done = smem_box_renew(box, key);
        smem_box_give(box);
    }
    smem_unlock_sealed(stripe);
    return done;
}

void smem_box_advance(void)
{
    static atomic_uint cursor;
    if (smem_key_pending() == 0)
        return;
    int saved_errno = errno;
    smem_error_hold();
    unsigned from = atomic_fetch_add_explicit(&cursor, 1, memory_order_relaxed);
    bool done = false;
    for (unsigned i = 0; i < SMEM_SEALED_STRIPES * SMEM_SEAL_CLASSES && !done; i++) {
        unsigned at = from + i;
        done = advance(at % SMEM_SEALED_STRIPES,
                       at / SMEM_SEALED_STRIPES % SMEM_SEAL_CLASSES);
    }
    smem_error_resume();
    errno = saved_errno;
}
