/* SPDX-License-Identifier: ISC */
/*
 * Arenas behind a protection key, or behind pages that stand in for one, while every call
 * to the kernel fails in turn: what is handed out is closed, or the report says that it is
 * not; rights of the thread are as before; a refusal says why, leaves nothing behind and
 * does not last.
 */
#include <errno.h>
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/plans.h"
#include "faults/trials.h"
#include "faults/wrap_keys.h"
#include "support/child.h"
#include "support/need.h"
#include "support/skip.h"
#include "support/smaps.h"
#include "support/view.h"

#define SIZE   200
#define ELDERS 5
#define MARK   0x3c

static struct fault_plan plan; /* of this trial */
static securemem_arena_options options;
static bool by_pages;
static securemem_arena *arena;
static unsigned char *elders[ELDERS];

/* Locked, and closed but for what the report says. */
static void need_closed(const unsigned char *secret, bool must)
{
    struct smaps_entry entry;
    smaps_read();
    NEED(smaps_range(secret, SIZE, &entry));
    NEED(entry.locked && entry.not_dumped);
    securemem_protection says;
    NEED(securemem_protection(secret, &says) == 0);
    NEED(says.lock.holds && says.guards.holds && says.open_scopes == 0);
    if (!by_pages) {
        NEED(keys_rights_are_none());
        return;
    }
    bool closed = strcmp(entry.permissions, "---p") == 0;
    NEED(closed || !must);
    if (says.witness == SECUREMEM_WITNESS_SMAPS)
        NEED((says.access == SECUREMEM_NONE) == closed);
}

static void need_contents(const unsigned char *secret, size_t size)
{
    NEED(securemem_arena_open(arena, SECUREMEM_READ) == 0);
    for (size_t i = 0; i < size; i++)
        NEED(secret[i] == MARK);
    NEED(securemem_arena_close(arena) == 0);
}

/* After the fault: with its last scope an arena is closed again, whatever was refused. */
static void need_elders(void)
{
    for (size_t i = 0; i < ELDERS; i++)
        if (elders[i] != NULL) {
            need_contents(elders[i], SIZE);
            need_closed(elders[i], true);
        }
}

static void need_refusal(int code)
{
    NEED(code == ENOMEM || code == EPERM || code == ENOTSUP || code == EAGAIN ||
         code == ENOSPC);
    NEED(securemem_last_error()->code == code);
    NEED(strlen(securemem_last_error()->message) > 20);
}

static unsigned char *make(void)
{
    unsigned char *secret = securemem_arena_alloc(arena, SIZE);
    if (secret != NULL && securemem_arena_open(arena, SECUREMEM_WRITE) == 0) {
        memset(secret, MARK, SIZE);
        NEED(securemem_arena_close(arena) == 0);
    }
    return secret;
}

/* A refusal does not last. */
static void need_another(void)
{
    unsigned char *later = make();
    NEED(later != NULL);
    need_closed(later, true);
    need_contents(later, SIZE);
    securemem_free(later);
}

static void create_one(void)
{
    securemem_arena *other;
    fault_arm(&plan);
    errno = 0;
    other = securemem_arena_create(&options);
    int code = errno;
    fault_disarm();
    if (other == NULL)
        need_refusal(code);
    securemem_arena_destroy(other);
}

static void alloc_one(void)
{
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = securemem_arena_alloc(arena, SIZE);
    int code = errno;
    fault_disarm();
    if (secret == NULL)
        need_refusal(code);
    else
        need_closed(secret, true);
    securemem_free(secret);
}

static void free_one(void)
{
    unsigned char *freed = elders[2];
    elders[2] = NULL;
    fault_arm(&plan);
    errno = 0;
    securemem_free(freed);
    NEED(errno == 0);
    fault_disarm();
}

static void resize(size_t size)
{
    fault_arm(&plan);
    errno = 0;
    unsigned char *grown = securemem_realloc(elders[1], size);
    int code = errno;
    fault_disarm();
    if (grown == NULL) {
        need_refusal(code);
        return;
    }
    elders[1] = NULL;
    need_contents(grown, size < SIZE ? size : SIZE);
    need_closed(grown, true);
    securemem_free(grown);
}

static void shrink_one(void)
{
    resize(SIZE - 3);
}

static void grow_one(void)
{
    resize(2 * view_page_size());
}

static void copy_one(void)
{
    fault_arm(&plan);
    errno = 0;
    unsigned char *copy = securemem_dup(elders[3]);
    int code = errno;
    fault_disarm();
    if (copy == NULL)
        need_refusal(code);
    else
        need_contents(copy, SIZE);
    securemem_free(copy);
}

static void open_and_close(void)
{
    fault_arm(&plan);
    int opened = securemem_arena_open(arena, SECUREMEM_WRITE);
    int closed = opened == 0 ? securemem_arena_close(arena) : 0;
    fault_disarm();
    if (opened != 0) {
        need_refusal(-opened);
        for (size_t i = 0; i < ELDERS && plan_is_single(&plan); i++)
            need_closed(elders[i], true); /* nothing is open that was not */
    }
    if (closed == 0)
        return;
    need_refusal(-closed);
    securemem_protection says;
    NEED(securemem_protection(elders[0], &says) == 0 && says.open_scopes == 1);
    NEED(securemem_arena_close(arena) == 0); /* again */
}

static void wipe_all(void)
{
    fault_arm(&plan);
    size_t failed = securemem_wipe_all();
    fault_disarm();
    NEED(securemem_arena_open(arena, SECUREMEM_READ) == 0);
    size_t kept = 0;
    for (size_t i = 0; i < ELDERS; i++) {
        kept += elders[i][0] != 0;
        elders[i] = NULL;
    }
    NEED(kept == 0 || failed > 0);
    NEED(securemem_arena_close(arena) == 0);
}

static void trim(void)
{
    for (size_t i = 0; i < ELDERS; i += 2) {
        securemem_free(elders[i]);
        elders[i] = NULL;
    }
    fault_arm(&plan);
    int result = securemem_arena_trim(arena);
    fault_disarm();
    if (result != 0)
        need_refusal(-result);
}

static const struct act {
    const char *name;
    void (*act)(void);
    bool has_elders, keeps_idle;
} acts[] = {
    {"making an arena", create_one, false, false},
    {"the first allocation", alloc_one, false, false},
    {"an allocation", alloc_one, true, false},
    {"a free", free_one, true, false},
    {"a realloc in place", shrink_one, true, false},
    {"a realloc that moves", grow_one, true, false},
    {"a copy", copy_one, true, false},
    {"a scope", open_and_close, true, false},
    {"a wipe of all", wipe_all, true, false},
    {"a trim", trim, true, true},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
    bool by_pages;
    securemem_placement placement;
    securemem_guard_kind guard_kind;
};

static bool is_of(enum fault_function function)
{
    return plan.function == function || plan.then == function;
}

static int try_one(void *argument)
{
    const struct trial *trial = argument;
    plan = *trial->plan;
    by_pages = trial->by_pages;
    options = (securemem_arena_options){.protection_key = by_pages ? SECUREMEM_PREFERRED
                                                                   : SECUREMEM_REQUIRED,
                                        .placement = trial->placement,
                                        .guard_kind = trial->guard_kind,
                                        .idle = trial->act->keeps_idle ? SIZE_MAX : 0};
    keys_use_none(by_pages);
    size_t locked = view_locked_bytes();
    arena = securemem_arena_create(&options);
    NEED(arena != NULL);
    for (size_t i = 0; i < ELDERS && trial->act->has_elders; i++)
        NEED((elders[i] = make()) != NULL);
    trial->act->act();
    NEED(by_pages || keys_rights_are_none());
    need_elders();
    need_another();
    securemem_arena_destroy(arena);
    /* A key is not given back where the kernel refuses that, or a page that has it stays. */
    NEED(keys_taken() == 0 || is_of(FAULT_KEY_FREE) || is_of(FAULT_UNMAP));
    NEED(view_locked_bytes() == locked);
    return 0;
}

static void try_all(struct trial trial)
{
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = true};
    snprintf(trials.name, sizeof trials.name, "%s, by %s, placement %d, guards %d",
             trial.act->name, trial.by_pages ? "pages" : "a key", trial.placement,
             trial.guard_kind);
    trial.plan = trials_plan();
    assert_true(trials_run(&trials));
}

static void a_door_under_every_fault_is_closed_or_says_so(void **state)
{
    (void)state;
    const struct trial kinds[] = {
        {.placement = SECUREMEM_PACKED},
        {.guard_kind = SECUREMEM_GUARDS_PROT_NONE},
        {.by_pages = true, .placement = SECUREMEM_PACKED},
        {.by_pages = true, .guard_kind = SECUREMEM_GUARDS_PROT_NONE},
        {.by_pages = true, .guard_kind = SECUREMEM_GUARDS_REGION},
    };
    size_t count = sizeof kinds / sizeof *kinds - !view_guard_regions_exist();
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        for (size_t t = 0; t < count; t++) {
            struct trial trial = kinds[t];
            trial.act = &acts[i];
            try_all(trial);
        }
    trials_end(500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_door_under_every_fault_is_closed_or_says_so),
    };
    return RUN_GROUP(tests);
}
