/* SPDX-License-Identifier: ISC */
#include "secret/depot.h"

#include <string.h>

#include "kernel/kernel.h"
#include "region/error.h"

#define BYTES (SMEM_DEPOT_MOST * sizeof(struct smem_depot_slot))

static bool begin(securemem_arena *arena)
{
    void *memory = NULL;
    smem_error_hold();
    int result = arena->depot == NULL ? smem_metadata_take(BYTES, &memory) : 0;
    smem_error_resume();
    if (memory != NULL)
        arena->depot = memory;
    return result == 0;
}

bool smem_depot_leave(securemem_arena *arena, struct smem_depot_slot left)
{
    size_t page = smem_kernel_page_size(), idle = arena->options.idle;
    if (arena->depot_count == SMEM_DEPOT_MOST || arena->lent_bytes > idle ||
        idle - arena->lent_bytes < page || !begin(arena))
        return false;
    arena->depot[arena->depot_count++] = left;
    arena->lent_bytes += page;
    return true;
}

bool smem_depot_take(securemem_arena *arena, struct smem_depot_slot *out)
{
    if (arena->depot_count == 0)
        return false;
    *out = arena->depot[--arena->depot_count];
    arena->lent_bytes -= smem_kernel_page_size();
    return true;
}

void smem_depot_forget(securemem_arena *arena)
{
    arena->depot_count = 0;
}

void smem_depot_end(securemem_arena *arena)
{
    if (arena->depot == NULL)
        return;
    memset(arena->depot, 0, BYTES);
    smem_metadata_give(arena->depot, BYTES);
    arena->depot = NULL;
    arena->depot_count = 0;
}
