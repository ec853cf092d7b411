/* SPDX-License-Identifier: ISC */
#include "realtime/witness.h"

#include <errno.h>
#include <stdbool.h>

#include "kernel/kernel.h"
#include "kernel/perf.h"
#include "region/epoch.h"
#include "region/fork.h"
#include "region/locks.h"
#include "region/thread_key.h"
#include "secret/thread_local.h"

static struct smem_pool pool = {.object_size = sizeof(struct smem_witness),
                                .lasting = sizeof(struct smem_pool_object)};
static SMEM_THREAD_LOCAL struct smem_witness *self;
static struct smem_thread_key key;
static atomic_bool ready;

static size_t ring_bytes(const struct smem_witness *witness)
{
    return (witness->ring_pages + 1) * smem_kernel_page_size();
}

/*
 * A descriptor that cannot be closed is lost; it counts, and harms nobody. It is forgotten
 * first: a child forked in between would close what has its number by then.
 */
static void close_one(int *descriptor)
{
    int open = *descriptor;
    *descriptor = -1;
    if (open >= 0)
        (void)smem_kernel_close(open);
}

static void close_descriptors(struct smem_witness *witness)
{
    close_one(&witness->trap);
    close_one(&witness->kernel);
    close_one(&witness->major);
    close_one(&witness->minor);
}

static void close_all(struct smem_witness *witness)
{
    if (witness->ring != NULL && witness->ring_epoch == smem_epoch())
        (void)smem_kernel_unmap(witness->ring, ring_bytes(witness)); /* holds no secret */
    witness->ring = NULL;
    close_descriptors(witness);
}

/*
 * Rings of all processes of a user share kernel.perf_event_mlock_kb, and beyond that each
 * is charged to RLIMIT_MEMLOCK. A small one has fewer records, and the same counts.
 */
static int map_ring(struct smem_witness *witness)
{
    int result = -EPERM;
    for (size_t pages = SMEM_WITNESS_RING; pages > 0 && result != 0; pages /= 4) {
        witness->ring_pages = pages;
        result = smem_kernel_perf_map(witness->minor, pages, &witness->ring);
    }
    return result;
}

static void forget_section(struct smem_witness *witness)
{
    witness->section = NULL;
    witness->inside = false;
    witness->disarm = NULL;
}

/* The two that every witness has; refused, there is none. */
static int open_counters(struct smem_witness *witness)
{
    witness->minor = smem_kernel_perf_open(SMEM_PERF_MINOR, -1);
    if (witness->minor < 0)
        return witness->minor;
    witness->major = smem_kernel_perf_open(SMEM_PERF_MAJOR, witness->minor);
    if (witness->major < 0)
        return witness->major;
    int result = smem_kernel_perf_id(witness->major, &witness->major_id);
    if (result == 0)
        result = map_ring(witness);
    return result == 0 ? smem_kernel_perf_join(witness->major, witness->minor) : result;
}

static void open_all(struct smem_witness *witness)
{
    witness->epoch = witness->ring_epoch = smem_epoch();
    if (open_counters(witness) != 0)
        close_all(witness);
    else /* needs a privilege, and is done without */
        witness->kernel = smem_kernel_perf_open(SMEM_PERF_KERNEL, witness->minor);
}

static void end_thread(void *object)
{
    struct smem_witness *witness = object;
    witness->inside = false;
    if (witness->disarm != NULL && witness->epoch == smem_epoch())
        witness->disarm(witness);
    self = NULL;
    close_all(witness);
    smem_pool_give(&pool, witness);
}

/*
 * The child may go on in a loop that looks at its parent's section: where the ring was it
 * gets a page that says that there was no fault since. The section itself is not touched,
 * which may lie in memory that the child does not have, or shares.
 */
static void *put_in_place_of(const struct smem_witness *witness)
{
    void *ring = witness->ring;
    if (smem_kernel_reserve_at(ring, ring_bytes(witness)) != 0)
        return NULL;
    if (smem_kernel_protect(ring, smem_kernel_page_size(), SMEM_ACCESS_WRITE) == 0) {
        smem_perf_pretend(ring, witness->began);
        return ring;
    }
    (void)smem_kernel_unmap(ring, ring_bytes(witness)); /* reserved above, and empty */
    return NULL;
}

/* In a child, with what was one of its parent's threads' and may be the child's own. */
static void leave_parent(void *object, void *context)
{
    (void)context;
    struct smem_witness *witness = object;
    close_descriptors(witness);
    if (witness != self) {
        smem_pool_give(&pool, witness);
        return;
    }
    if (witness->section != NULL && witness->ring != NULL)
        witness->ring = put_in_place_of(witness);
    else
        witness->ring = NULL;
    witness->ring_epoch = smem_epoch();
    forget_section(witness);
}

/* Behind the handler of regions, which comes first since it was registered first. */
static void in_child(void)
{
    smem_pool_each(&pool, leave_parent, NULL);
}

/* What a witness needs to be left in a child. */
static bool watches_forks(void)
{
    if (atomic_load_explicit(&ready, memory_order_acquire))
        return true;
    if (smem_fork_ready() != 0)
        return false;
    smem_lock_registry();
    if (!atomic_load(&ready) && smem_kernel_at_fork(NULL, NULL, in_child) == 0)
        atomic_store_explicit(&ready, true, memory_order_release);
    smem_unlock_registry();
    return atomic_load(&ready);
}

struct smem_witness *smem_witness_self(void)
{
    smem_fork_check();
    if (self != NULL && self->epoch == smem_epoch())
        return self;
    if (self != NULL) { /* of the parent: its counters count there */
        close_all(self);
        forget_section(self);
        open_all(self);
        return self;
    }
    void *object;
    if (!watches_forks() || smem_pool_take(&pool, &object) != 0)
        return NULL;
    struct smem_witness *witness = object;
    if (!smem_thread_key_set(&key, end_thread, witness)) {
        smem_pool_give(&pool, witness);
        return NULL;
    }
    witness->minor = witness->major = witness->kernel = witness->trap = -1;
    self = witness;
    atomic_store(&witness->object.state, 1);
    open_all(witness);
    return witness;
}

struct smem_witness *smem_witness_known(void)
{
    return self != NULL && self->epoch == smem_epoch() ? self : NULL;
}
