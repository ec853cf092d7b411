/* SPDX-License-Identifier: ISC */
/*
 * A child inherits mappings and their advice, but no lock; and where the mapping is wiped
 * (MADV_WIPEONFORK), its guard regions are wiped with it (Linux 6.18).
 */
#include "region/inherit.h"

#include <sodium.h>

#include "kernel/kernel.h"
#include "region/commit.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/memlock.h"

enum smem_inheritance smem_region_inheritance(const struct smem_region *region)
{
    bool asked =
        region->options.fork_safety != SECUREMEM_OFF && region->fork_refused == 0;
    if (asked && region->options.fork == SECUREMEM_FORK_WIPE)
        return SMEM_INHERITS_ZEROS;
    if (asked && region->options.fork == SECUREMEM_FORK_DROP)
        return SMEM_INHERITS_NOTHING;
    return SMEM_INHERITS_SECRETS;
}

bool smem_slot_was_zeroed(const struct smem_region *region, uint32_t slot)
{
    const struct smem_slot *s = &region->slots[slot];
    if (s->epoch == smem_epoch())
        return false;
    return s->kept_wiped || smem_region_inheritance(region) == SMEM_INHERITS_ZEROS;
}

bool smem_slot_is_zeroed_here(const struct smem_region *region, uint32_t slot)
{
    const struct smem_slot *s = &region->slots[slot];
    return smem_slot_was_zeroed(region, slot) &&
           (!s->kept_wiped || s->wiped_in == smem_epoch());
}

static bool is_live(const struct smem_region *region, uint32_t slot)
{
    enum smem_slot_state state = smem_slot_state(region, slot);
    return state == SMEM_SLOT_LIVE || state == SMEM_SLOT_HELD;
}

/* Between slots, and on those that are closed. */
static int reinstall_guards(struct smem_region *region, uint32_t committed)
{
    int result =
        smem_kernel_advise(region->base, region->page, SMEM_ADVICE_GUARD_INSTALL);
    if (result == 0)
        result = smem_region_install_guards(region, 0, committed);
    for (uint32_t i = 0; i < committed && result == 0; i++)
        if (smem_slot_state(region, i) == SMEM_SLOT_RETURNED)
            result = smem_kernel_advise(smem_slot_data(region, i), region->slot_bytes,
                                        SMEM_ADVICE_GUARD_INSTALL);
    return result;
}

/*
 * The child's lock on a secret was refused. Under FORK_KEEP it may not stay here:
 * dropping its pages leaves zeros without a copy; where that is refused it is
 * overwritten.
 */
static void give_up(struct smem_region *region, uint32_t slot, int refused)
{
    struct smem_slot *s = &region->slots[slot];
    s->lock_refused = (uint8_t)-refused;
    if (region->options.fork != SECUREMEM_FORK_KEEP ||
        region->options.fork_safety == SECUREMEM_OFF)
        return;
    char *data = smem_slot_data(region, slot);
    if (smem_kernel_advise(data, region->slot_bytes, SMEM_ADVICE_DONTNEED) != 0) {
        if (smem_kernel_protect(data, region->slot_bytes, SMEM_ACCESS_WRITE) != 0 &&
            smem_kernel_unmap(data, region->slot_bytes) == 0)
            return; /* it can be neither dropped nor overwritten: it goes with its pages
                     */
        sodium_memzero(data, region->slot_bytes);
        unsigned char access = atomic_load_explicit(&s->access, memory_order_relaxed);
        if (smem_kernel_protect(data, region->slot_bytes, access) != 0)
            atomic_store(&s->access, SMEM_ACCESS_WRITE);
    }
    s->kept_wiped = true;
    s->wiped_in = smem_epoch();
}

static void give_up_all(struct smem_region *region, uint32_t first, uint32_t end,
                        int refused)
{
    for (uint32_t i = first; i < end && refused != 0; i++)
        if (is_live(region, i))
            give_up(region, i, refused);
}

/* Pages are brought in by access alone: act is called with it, then it is put back. */
static int with_access(struct smem_region *region, uint32_t slot,
                       int (*act)(struct smem_region *region, uint32_t slot))
{
    char *data = smem_slot_data(region, slot);
    unsigned char access =
        atomic_load_explicit(&region->slots[slot].access, memory_order_relaxed);
    if (access == SMEM_ACCESS_WRITE)
        return act(region, slot);
    int result = smem_kernel_protect(data, region->slot_bytes, SMEM_ACCESS_WRITE);
    if (result != 0)
        return result;
    result = act(region, slot);
    if (smem_kernel_protect(data, region->slot_bytes, access) != 0)
        atomic_store(&region->slots[slot].access, SMEM_ACCESS_WRITE);
    return result;
}

/* mlock2(ONFAULT) leaves what is in swap there. */
static int bring_in(struct smem_region *region, uint32_t slot)
{
    return smem_kernel_advise(smem_slot_data(region, slot), region->slot_bytes,
                              SMEM_ADVICE_POPULATE);
}

static void bring_in_secrets(struct smem_region *region, uint32_t committed)
{
    for (uint32_t i = 0; i < committed; i++) {
        int result = is_live(region, i) ? with_access(region, i, bring_in) : 0;
        if (result == 0)
            continue;
        (void)smem_slot_unlock(region, i); /* a locked page cannot be dropped */
        give_up(region, i, result);
    }
}

/* What the pages of a run allow, which may be closed, but all alike. */
static enum smem_kernel_access access_of_run(const struct smem_region *region)
{
    for (uint32_t i = 0; i < region->used; i++)
        if (smem_slot_state(region, i) == SMEM_SLOT_LIVE)
            return atomic_load_explicit(&region->slots[i].access, memory_order_relaxed);
    return SMEM_ACCESS_WRITE;
}

/* A lock brings in only what can be touched; what stays closed is not locked, and told. */
static void lock_run(struct smem_region *region, uint32_t committed)
{
    enum smem_kernel_access access = access_of_run(region);
    smem_error_hold();
    (void)smem_region_set_access_of_all(region, SMEM_ACCESS_WRITE);
    smem_error_resume();
    for (uint32_t at = 0, first; at < committed;) {
        int result = smem_region_lock_run(region, &at, &first);
        give_up_all(region, first, at, result);
    }
    smem_error_hold();
    (void)smem_region_set_access_of_all(region, access); /* what stays open says so */
    smem_error_resume();
}

static void lock_batches(struct smem_region *region, uint32_t committed)
{
    if (region->kind == SMEM_GUARD_REGIONS && committed > 0) {
        int result = smem_region_lock_batch(region, 0, committed);
        give_up_all(region, 0, committed, result);
        if (result == 0 && smem_region_inheritance(region) == SMEM_INHERITS_SECRETS)
            bring_in_secrets(region, committed);
        return;
    }
    lock_run(region, committed);
}

static void lock_live_slots(struct smem_region *region, uint32_t committed)
{
    for (uint32_t i = 0; i < committed; i++) {
        int result = is_live(region, i) ? with_access(region, i, smem_slot_lock) : 0;
        if (result != 0)
            give_up(region, i, result);
    }
}

/* A wiper of the parent had opened secrets, and is not here to close them. */
static void close_again(struct smem_region *region, uint32_t committed)
{
    for (uint32_t i = 0; i < committed; i++) {
        struct smem_slot *s = &region->slots[i];
        unsigned char access = atomic_load_explicit(&s->access, memory_order_relaxed);
        if (is_live(region, i) && access != SMEM_ACCESS_WRITE &&
            smem_kernel_protect(smem_slot_data(region, i), region->slot_bytes, access) !=
                0)
            atomic_store(&s->access, SMEM_ACCESS_WRITE);
    }
}

void smem_region_inherit(struct smem_region *region, bool visited)
{
    uint32_t committed = atomic_load(&region->committed);
    region->charged = 0;
    region->populated = 0;
    for (uint32_t i = 0; i < committed; i++)
        region->slots[i].locked = false;

    enum smem_inheritance inheritance = smem_region_inheritance(region);
    if (inheritance == SMEM_INHERITS_NOTHING) {
        region->retired = true;
        region->held_bytes = 0;
        smem_region_forget_idle(region);
        atomic_store(&region->object.state, SMEM_REGION_GONE);
        (void)smem_region_hold_place(region); /* refused, it is tried when it matters */
        return;
    }
    if (region->kind == SMEM_GUARD_REGIONS && inheritance == SMEM_INHERITS_ZEROS) {
        int result = reinstall_guards(region, committed);
        if (result != 0) {
            region->guards_refused = -result;
            region->retired = true;
        }
    }
    if (visited)
        close_again(region, committed);
    if (region->options.lock == SECUREMEM_OFF)
        return;
    if (smem_region_batches(region))
        lock_batches(region, committed);
    else
        lock_live_slots(region, committed);
}
