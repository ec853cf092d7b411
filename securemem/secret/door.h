/* SPDX-License-Identifier: ISC */
/*
 * The door of an arena with .protection_key: closed but for scopes of securemem_arena_open.
 *
 *      of a key     rights of a thread; pages stay readable and writable
 *      of pages     mprotect(2), where no key was to be had: rights of the process
 *
 * What the library itself does with secrets behind a door of a key, it does with the
 * stripe held, which opens it (locks.h). Behind one of pages it opens the slot that it
 * works on: smem_door_reach, smem_door_shut. Such arenas have no caches: what a thread
 * does without a lock, another that closes the door would meet.
 */
#ifndef SMEM_DOOR_H
#define SMEM_DOOR_H

#include <stdatomic.h>

#include "region/region.h"

struct smem_door {
    unsigned key; /* 0: none */
    bool pages;
    int refused;                   /* errno with which a key was refused, or 0 */
    atomic_uint openers;           /* of a key: threads with a scope */
    uint16_t scopes;               /* of pages: in the process */
    enum smem_kernel_access level; /* and what the pages of secrets allow */
};

/* As the options want it. 0 or a negative errno, recorded. */
int smem_door_make(struct smem_door *door, securemem_policy wanted);

/* The calling thread has no scope of the door any more. */
void smem_door_leave(struct smem_door *door);

/*
 * No page is behind it any more. A key to which another thread may still have rights is
 * not used again.
 */
void smem_door_end(struct smem_door *door);

/* In a forked child: scopes of other threads were not inherited. */
void smem_door_inherit(struct smem_door *door);

/* The scopes of the calling thread, or of the process, that are open. */
unsigned smem_door_scopes(const struct smem_door *door);

static inline bool smem_door_is_there(const struct smem_door *door)
{
    return door->key != 0 || door->pages;
}

/*
 * With the stripe held, and a slot that is LIVE: opens its pages to the library, and
 * leaves them as the door is. Without a door of pages they do nothing. 0 or a negative
 * errno, recorded.
 */
int smem_door_reach(struct smem_region *region, uint32_t slot);
int smem_door_shut(struct smem_region *region, uint32_t slot);

#endif
