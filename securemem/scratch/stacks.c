/* SPDX-License-Identifier: ISC */
#include "scratch/stacks.h"

#include <errno.h>
#include <securemem/arena.h>
#include <securemem/secret.h>
#include <sodium.h>

#include "kernel/kernel.h"
#include "region/error.h"
#include "region/fork.h"
#include "region/thread_key.h"
#include "secret/arena.h"
#include "secret/misuse.h"
#include "secret/thread_local.h"

static struct smem_pool threads = {.object_size = sizeof(struct smem_stacks),
                                   .lasting = sizeof(struct smem_pool_object)};
static struct smem_pool pool = {.object_size = sizeof(struct smem_stack),
                                .lasting = sizeof(struct smem_pool_object)};

static SMEM_THREAD_LOCAL struct smem_stacks *own;
static struct smem_thread_key key;
static _Atomic(securemem_arena *) arena;

/*
 * Another thread may fork at any moment, and its child ends what it finds here: what is
 * given back is wiped and unlinked first, so that the child finds it whole or not at all.
 */
static void end_stack(struct smem_stack *stack)
{
    securemem_free(stack->low);
    smem_pool_give(&pool, stack);
}

static void end_spare(struct smem_stacks *stacks)
{
    struct smem_stack *stack = stacks->spare;
    stacks->spare = NULL;
    if (stack != NULL)
        end_stack(stack);
}

__attribute__((weak)) void __asan_unpoison_memory_region(const void *start, size_t size);

/* What calls left that never return; AddressSanitizer still knows their frames. */
static void wipe(const struct smem_stack *stack)
{
    sodium_memzero(stack->low, stack->size);
    if (__asan_unpoison_memory_region != NULL)
        __asan_unpoison_memory_region(stack->low, stack->size);
}

static void end(struct smem_stacks *stacks)
{
    while (stacks->inner != NULL) {
        struct smem_stack *stack = stacks->inner;
        wipe(stack);
        stacks->inner = stack->outer;
        end_stack(stack);
    }
    end_spare(stacks);
    smem_pool_give(&threads, stacks);
}

static void end_thread(void *object)
{
    struct smem_stacks *stacks = object;
    own = NULL;
    smem_alternate_end(stacks);
    end(stacks);
}

/*
 * Threads of the parent are not in its child, but for the one whose stack it stands on; nor
 * is a lock that a spare one may need, or the alternate one: where a call stands on that, it
 * ends with the call.
 */
static void inherit_thread(void *object, void *context)
{
    struct smem_stacks *stacks = object;
    const char *here = context;
    if (stacks != own && stacks->inner != NULL && smem_stack_holds(stacks->inner, here))
        return;
    if (stacks != own) {
        securemem_free(stacks->alternate);
        end(stacks);
        return;
    }
    end_spare(stacks);
    if (stacks->lent)
        stacks->aged = true;
    else
        smem_alternate_give(stacks);
}

static void inherit(void)
{
    smem_pool_each(&threads, inherit_thread, __builtin_frame_address(0));
}

/*
 * PROT_NONE guards: what is locked is what is used. Slots between guard regions would be
 * locked in batches.
 */
static securemem_arena *stack_arena(void)
{
    securemem_arena *made = atomic_load_explicit(&arena, memory_order_acquire);
    if (made != NULL)
        return made;
    made = securemem_arena_create(&(securemem_arena_options){
        .fork = SECUREMEM_FORK_KEEP, .guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    if (made == NULL)
        return NULL;
    made->holds_stacks = true;
    smem_fork_add_hook(inherit); /* before another thread has a stack of it */
    securemem_arena *first = NULL;
    if (atomic_compare_exchange_strong(&arena, &first, made))
        return made;
    securemem_arena_destroy(made); /* another thread was first */
    return first;
}

char *smem_stacks_alloc(size_t size)
{
    securemem_arena *from = stack_arena();
    return from == NULL ? NULL
                        : securemem_arena_alloc_aligned(from, size, SECUREMEM_ALIGNMENT);
}

struct smem_stacks *smem_stacks_here(void)
{
    return own;
}

int smem_stacks_own(struct smem_stacks **out)
{
    if (own == NULL) {
        void *object;
        int result = smem_pool_take(&threads, &object);
        if (result != 0)
            return result;
        struct smem_stacks *stacks = object;
        if (!smem_thread_key_set(&key, end_thread, stacks)) {
            smem_pool_give(&threads, stacks);
            return smem_error_own("pthread_setspecific", ENOMEM,
                                  "no key of threads is left, or no memory for it");
        }
        atomic_store(&stacks->object.state, 1);
        own = stacks;
    }
    *out = own;
    return 0;
}

static size_t whole_pages(size_t size)
{
    size_t mask = smem_kernel_page_size() - 1;
    return size > SIZE_MAX - mask ? SIZE_MAX : (size + mask) & ~mask;
}

/* NULL and errno, recorded, where it is refused. */
static struct smem_stack *make(size_t size)
{
    void *object;
    int result = smem_pool_take(&pool, &object);
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    struct smem_stack *stack = object;
    stack->size = whole_pages(size);
    stack->low = smem_stacks_alloc(stack->size);
    if (stack->low == NULL) {
        int code = errno;
        smem_pool_give(&pool, stack);
        errno = code;
        return NULL;
    }
    atomic_store(&stack->object.state, 1);
    return stack;
}

int smem_stacks_push(struct smem_stacks *stacks, size_t size)
{
    struct smem_stack *stack = stacks->spare;
    if (stack == NULL || stack->size < size) {
        int before = errno;
        stack = make(size);
        int code = errno;
        errno = before;
        if (stack == NULL)
            return -code;
    } else {
        stacks->spare = NULL;
    }
    stack->outer = stacks->inner;
    stacks->inner = stack;
    return 0;
}

/* The larger of two is kept. What refuses the other is no error of the call that ends. */
void smem_stacks_pop(struct smem_stacks *stacks)
{
    struct smem_stack *stack = stacks->inner, *spare = stacks->spare;
    stacks->inner = stack->outer;
    if (spare != NULL && spare->size > stack->size) {
        spare = stack;
        stack = stacks->spare;
    }
    stacks->spare = stack;
    if (spare == NULL)
        return;
    smem_misuse_hold();
    smem_error_hold();
    end_stack(spare);
    smem_error_resume();
    smem_misuse_resume();
}

void smem_stacks_abandon(struct smem_stacks *stacks, const char *address)
{
    while (stacks->inner != NULL && !smem_stack_holds(stacks->inner, address)) {
        wipe(stacks->inner);
        smem_stacks_pop(stacks);
    }
}

int smem_stacks_trim(struct smem_stacks *stacks)
{
    end_spare(stacks);
    if (!stacks->lent)
        smem_alternate_give(stacks);
    securemem_arena *made = atomic_load(&arena);
    return made == NULL ? 0 : securemem_arena_trim(made);
}
