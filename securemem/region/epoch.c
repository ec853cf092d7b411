/* SPDX-License-Identifier: ISC */
#include "region/epoch.h"

#include <stdatomic.h>

static _Atomic uint32_t epoch;

uint32_t smem_epoch(void)
{
    return atomic_load_explicit(&epoch, memory_order_relaxed);
}

void smem_epoch_advance(void)
{
    atomic_fetch_add(&epoch, 1);
}
