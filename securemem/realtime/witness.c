/* SPDX-License-Identifier: ISC */
#include "realtime/witness.h"

#include <stdbool.h>

#include "kernel/kernel.h"
#include "kernel/perf.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/thread_key.h"
#include "secret/thread_local.h"

static struct smem_pool pool = {.object_size = sizeof(struct smem_witness),
                                .lasting = sizeof(struct smem_pool_object)};
static SMEM_THREAD_LOCAL struct smem_witness *self;
static struct smem_thread_key key;

/* A descriptor that cannot be closed is lost; it counts, and harms nobody. */
static void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        (void)smem_kernel_close(*descriptor);
    *descriptor = -1;
}

static void close_all(struct smem_witness *witness)
{
    size_t length = (SMEM_WITNESS_RING + 1) * smem_kernel_page_size();
    if (witness->ring != NULL)
        (void)smem_kernel_unmap(witness->ring, length); /* holds no secret */
    witness->ring = NULL;
    close_one(&witness->trap);
    close_one(&witness->kernel);
    close_one(&witness->major);
    close_one(&witness->minor);
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
        result = smem_kernel_perf_map(witness->minor, SMEM_WITNESS_RING, &witness->ring);
    return result == 0 ? smem_kernel_perf_join(witness->major, witness->minor) : result;
}

static void open_all(struct smem_witness *witness)
{
    witness->epoch = smem_epoch();
    witness->minor = witness->major = witness->kernel = witness->trap = -1;
    if (open_counters(witness) != 0)
        close_all(witness);
    else /* needs a privilege, and is done without */
        witness->kernel = smem_kernel_perf_open(SMEM_PERF_KERNEL, witness->minor);
}

static void end_thread(void *object)
{
    struct smem_witness *witness = object;
    self = NULL;
    close_all(witness);
    smem_pool_give(&pool, witness);
}

struct smem_witness *smem_witness_self(void)
{
    if (self != NULL && self->epoch == smem_epoch())
        return self;
    if (self != NULL) { /* of the parent: its counters count there */
        close_all(self);
        self->section = NULL;
        open_all(self);
        return self;
    }
    void *object;
    if (smem_pool_take(&pool, &object) != 0)
        return NULL;
    struct smem_witness *witness = object;
    if (!smem_thread_key_set(&key, end_thread, witness)) {
        smem_pool_give(&pool, witness);
        return NULL;
    }
    atomic_store(&witness->object.state, 1);
    open_all(witness);
    self = witness;
    return witness;
}

struct smem_witness *smem_witness_known(void)
{
    return self;
}
