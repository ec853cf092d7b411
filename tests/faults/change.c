/* SPDX-License-Identifier: ISC */
/* Scenarios: a secret is resized, copied, opened and closed. */
#include <errno.h>

#include "faults/scenario.h"

static void one(struct stage *stage)
{
    stage_add(stage, stage->variant.size);
}

static void a_neighbour_too(struct stage *stage)
{
    one(stage);
    one(stage);
}

static void set(struct expected *secret, securemem_access access)
{
    if (securemem_set_access(secret->at, access) == 0)
        secret->access = access;
}

static void closed(struct stage *stage)
{
    a_neighbour_too(stage);
    set(&stage->secrets[0], SECUREMEM_NONE);
}

static void open_scope(struct stage *stage)
{
    closed(stage);
    if (securemem_open(stage->secrets[0].at, SECUREMEM_READ) == 0)
        stage->secrets[0].access = SECUREMEM_READ;
}

/*
 * A closed secret is opened to be copied. Where the kernel refuses to close it again it
 * stays open, and protection has to say so.
 */
static void maybe_left_open(struct expected *old)
{
    securemem_protection says;
    if (old->access == SECUREMEM_NONE && securemem_protection(old->at, &says) == 0 &&
        says.access == SECUREMEM_READ)
        old->access = SECUREMEM_READ;
}

static int resize_to(struct stage *stage, size_t size)
{
    struct expected old = stage->secrets[0];
    unsigned char *moved = securemem_realloc(old.at, size);
    if (moved == NULL) {
        int refused = errno;
        maybe_left_open(&stage->secrets[0]);
        return refused;
    }
    stage_forget(stage, 0);
    stage_expect(stage, moved, size, old.size < size ? old.size : size, old.fill);
    stage->secrets[stage->count - 1].access = old.access;
    return 0;
}

static int grow(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return resize_to(stage, 3 * stage->variant.size);
}

static int shrink(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return resize_to(stage, stage->variant.size / 3);
}

static int duplicate(struct stage *stage, const char **wrong)
{
    (void)wrong;
    const struct expected *old = &stage->secrets[0];
    unsigned char *copy = securemem_dup(old->at);
    int refused = copy == NULL ? errno : 0;
    if (refused == 0)
        stage_expect(stage, copy, old->size, old->size, old->fill);
    maybe_left_open(&stage->secrets[0]);
    return refused;
}

static int set_to(struct stage *stage, securemem_access access)
{
    int result = securemem_set_access(stage->secrets[0].at, access);
    if (result == 0)
        stage->secrets[0].access = access;
    return -result;
}

static int set_none(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return set_to(stage, SECUREMEM_NONE);
}

static int set_read(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return set_to(stage, SECUREMEM_READ);
}

static int set_write(struct stage *stage, const char **wrong)
{
    (void)wrong;
    return set_to(stage, SECUREMEM_WRITE);
}

static int open_to_write(struct stage *stage, const char **wrong)
{
    (void)wrong;
    int result = securemem_open(stage->secrets[0].at, SECUREMEM_WRITE);
    if (result == 0)
        stage->secrets[0].access = SECUREMEM_WRITE;
    return -result;
}

/* After a refusal the scope is still open, so that closing it again has to work. */
static int close_scope(struct stage *stage, const char **wrong)
{
    int result = securemem_close(stage->secrets[0].at);
    securemem_protection says;
    if (securemem_protection(stage->secrets[0].at, &says) != 0 ||
        says.open_scopes != (result == 0 ? 0U : 1U))
        *wrong = "a refused close did not leave its scope open";
    if (result == 0)
        stage->secrets[0].access = SECUREMEM_NONE;
    return -result;
}

const struct scenario change_scenarios[] = {
    {"securemem_realloc, larger", a_neighbour_too, grow, false, false},
    {"securemem_realloc, smaller", one, shrink, false, false},
    {"securemem_realloc of a closed secret", closed, grow, false, false},
    {"securemem_realloc of an open scope", open_scope, grow, false, false},
    {"securemem_dup", one, duplicate, false, false},
    {"securemem_dup of a closed secret", closed, duplicate, false, false},
    {"securemem_set_access, none", a_neighbour_too, set_none, false, true},
    {"securemem_set_access, read", a_neighbour_too, set_read, false, true},
    {"securemem_set_access, write", closed, set_write, false, true},
    {"securemem_open", open_scope, open_to_write, false, true},
    {"securemem_close", open_scope, close_scope, false, true},
};
const size_t change_scenario_count = sizeof change_scenarios / sizeof *change_scenarios;
