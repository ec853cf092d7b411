/* SPDX-License-Identifier: ISC */
#include "secret/low.h"

#include <errno.h>

#include "kernel/kernel.h"
#include "region/budget.h"
#include "region/error.h"
#include "secret/account.h"
#include "secret/cache.h"
#include "secret/misuse.h"
#include "secret/thread_local.h"

/* This thread is in a call of the program: what that is refused is not told by another. */
static SMEM_THREAD_LOCAL bool telling;

/* What it has locked and free, and what budget and lock limit still grant. */
static size_t remaining_of(const securemem_arena *arena)
{
    size_t idle = arena->idle_bytes + arena->ready_bytes +
                  arena->depot_count * smem_kernel_page_size();
    size_t allowance = smem_account_allowance(arena);
    if (arena->options.lock != SECUREMEM_OFF) {
        size_t limit, mappings, charged = smem_budget_charged();
        smem_budget_estimate(&limit, &mappings);
        size_t left = limit > charged ? limit - charged : 0;
        if (limit != SIZE_MAX && left < allowance)
            allowance = left;
    }
    if (allowance != SIZE_MAX)
        allowance -= allowance % smem_kernel_page_size();
    return allowance > SIZE_MAX - idle ? SIZE_MAX : allowance + idle;
}

struct smem_low smem_arena_low(securemem_arena *arena, bool refused)
{
    const securemem_arena_options *options = &arena->options;
    if (options->low == 0)
        return (struct smem_low){0};
    size_t remaining = remaining_of(arena);
    bool low = remaining <= options->low;
    bool told = arena->low_told && (!refused || telling);
    arena->low_told = low;
    if (!low || told)
        return (struct smem_low){0};
    return (struct smem_low){options->on_low, options->user, remaining};
}

void smem_arena_note_free(securemem_arena *arena)
{
    if (arena->low_told && remaining_of(arena) > arena->options.low)
        arena->low_told = false;
}

void smem_arena_tell_low(securemem_arena *arena, struct smem_low low)
{
    if (low.on_low == NULL)
        return;
    struct smem_kept_error kept; /* that of the call, whatever the program is refused */
    smem_error_keep(&kept);
    bool inner = telling;
    telling = true;
    low.on_low(arena, low.remaining, low.user);
    telling = inner;
    smem_error_put_back(&kept);
}

size_t securemem_arena_remaining(securemem_arena *arena)
{
    if (!smem_arena_acquire(arena)) {
        errno =
            -smem_error_argument("securemem_arena_remaining", "it is not a live arena");
        return 0;
    }
    size_t remaining = remaining_of(arena);
    smem_arena_release(arena);
    return remaining;
}

int securemem_arena_reserve(securemem_arena *arena, size_t bytes)
{
    if (!smem_arena_acquire(arena))
        return smem_error_argument("securemem_arena_reserve", "it is not a live arena");
    const void *broken = NULL;
    smem_cache_recall(arena,
                      &broken); /* idle, too; and threads give back what they have */
    int result = smem_arena_reserve(arena, bytes);
    smem_arena_release(arena);
    if (broken != NULL)
        smem_misuse(SECUREMEM_MISUSE_CANARY, broken);
    return result;
}
