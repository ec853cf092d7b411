/* SPDX-License-Identifier: ISC */
/*
 * The scratch stacks of a thread.
 *
 *      inner   the stack of its innermost call ---> that of the call around it ---> NULL
 *      spare   one that no call uses, all zeros; or NULL
 *      alternate   the locked alternate signal stack; lent: the kernel has it as the thread's
 *
 * Each is a secret of an arena of their own that a child keeps, since it may stand on one.
 * A thread touches its own alone, but for its child after a fork.
 */
#ifndef SMEM_STACKS_H
#define SMEM_STACKS_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/stack.h"
#include "region/metadata.h"

struct smem_stack {
    struct smem_pool_object object;
    char *low;
    size_t size;
    struct smem_stack *outer;
};

struct smem_stacks {
    struct smem_pool_object object;
    struct smem_stack *inner, *spare;
    char *alternate;
    size_t alternate_size;
    bool lent, aged; /* aged: lent when the process was forked; it may have no lock */
    struct smem_alternate before; /* the program's, while lent */
};

/* Those of the calling thread; 0 or a negative errno, recorded. */
int smem_stacks_own(struct smem_stacks **out);

/* The same, or NULL where it has none. */
struct smem_stacks *smem_stacks_here(void);

/* A stack of zeros of at least size bytes becomes the inner one; 0 or as above. */
int smem_stacks_push(struct smem_stacks *stacks, size_t size);

/* The inner one, wiped, is used no more. */
void smem_stacks_pop(struct smem_stacks *stacks);

/*
 * Wipes and pops what calls left without returning: inner stacks that address is not on. The
 * caller's own position is such an address.
 */
void smem_stacks_abandon(struct smem_stacks *stacks, const char *address);

/* Gives back what no call uses. 0 or a negative errno, recorded. */
int smem_stacks_trim(struct smem_stacks *stacks);

static inline bool smem_stack_holds(const struct smem_stack *stack, const char *address)
{
    return address >= stack->low && address < stack->low + stack->size;
}

/*
 * Around the outermost call: where the thread has an alternate stack, a locked one stands in
 * for it. 0 or a negative errno, recorded, with nothing changed.
 */
int smem_alternate_enter(struct smem_stacks *stacks);

/* Whether address is on the locked one. */
static inline bool smem_alternate_holds(const struct smem_stacks *stacks,
                                        const char *address)
{
    return stacks->alternate != NULL && address >= stacks->alternate &&
           address < stacks->alternate + stacks->alternate_size;
}

/* What a handler that runs on one gets: -EPERM, recorded. */
int smem_alternate_refuse(void);

/* Puts the program's back, and wipes the other where a signal came. */
void smem_alternate_leave(struct smem_stacks *stacks);

/* Gives the locked one back, which is not lent. */
void smem_alternate_give(struct smem_stacks *stacks);

/* At its end: a locked one that the kernel cannot be parted from stays where it is. */
void smem_alternate_end(struct smem_stacks *stacks);

/* Memory for stacks: a secret of whole pages, zero-filled; NULL and errno. */
char *smem_stacks_alloc(size_t size);

#endif
