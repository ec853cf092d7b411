/* SPDX-License-Identifier: ISC */
/*
 * The stage on which a scenario plays: an arena of the variant that is tried, the secrets
 * that are expected in it, and elder secrets in an arena of their own that nothing may
 * touch.
 */
#ifndef FAULTS_STAGE_H
#define FAULTS_STAGE_H

#include <securemem.h>
#include <stdbool.h>
#include <stddef.h>

#define STAGE_SECRETS 24

struct variant {
    securemem_policy policy; /* of all protections */
    securemem_guard_kind kind;
    securemem_placement placement;
    securemem_fork fork;
    size_t size;
    size_t idle;
};

/* A secret and what is expected of it. */
struct expected {
    unsigned char *at;
    size_t size;
    size_t filled; /* bytes of the value fill; those behind are 0 */
    unsigned char fill;
    securemem_access access;
};

struct stage {
    struct variant variant;
    securemem_arena *arena;
    struct expected secrets[STAGE_SECRETS]; /* live */
    size_t count;
    struct expected freed[STAGE_SECRETS]; /* by the act */
    size_t freed_count;
    bool destroyed; /* the arena, by the act */
    int refused;    /* what the act gave: 0, or a positive errno */
};

/* Once in a process: the elder secrets. */
void stage_make_elders(securemem_guard_kind kind);
const struct expected *stage_elders(size_t *count);

/* Elder secrets are filled anew, after an act that wiped them. */
void stage_fill_elders(void);

securemem_arena_options stage_options(const struct variant *variant);

/* Makes the arena. */
void stage_begin(struct stage *stage, const struct variant *variant);

/* Without faults: one more secret of size bytes, filled; aborts on failure. */
struct expected *stage_add(struct stage *stage, size_t size);

/* The act made a secret at at: it becomes an expected one. */
void stage_expect(struct stage *stage, void *at, size_t size, size_t filled,
                  unsigned char fill);

/* The act freed the secret of that index: it is expected to be gone. */
void stage_forget(struct stage *stage, size_t index);

/* Without faults: frees, trims and destroys what is left. */
void stage_end(struct stage *stage);

#endif
