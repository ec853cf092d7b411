/* SPDX-License-Identifier: ISC */
#include "region/marks.h"

#include <stdbool.h>
#include <stdlib.h>

static struct smem_pool pool = {.object_size = sizeof(struct smem_mark),
                                .lasting = sizeof(struct smem_pool_object)};
static struct smem_mark *root;

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t rank_of(uintptr_t at)
{
    uint64_t x = at;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

struct smem_mark *smem_mark_before(uintptr_t at)
{
    struct smem_mark *found = NULL;
    for (struct smem_mark *m = root; m != NULL;) {
        if (m->at <= at)
            found = m;
        m = m->at <= at ? m->higher : m->lower;
    }
    return found;
}

struct smem_mark *smem_mark_behind(uintptr_t at)
{
    struct smem_mark *found = NULL;
    for (struct smem_mark *m = root; m != NULL;) {
        if (m->at > at)
            found = m;
        m = m->at > at ? m->lower : m->higher;
    }
    return found;
}

size_t smem_mark_count(uintptr_t at)
{
    const struct smem_mark *mark = smem_mark_before(at);
    return mark == NULL ? 0 : mark->count;
}

/* Goes down to where its rank puts it, and splits what was there. */
static void insert(struct smem_mark *mark)
{
    struct smem_mark **link = &root;
    while (*link != NULL && (*link)->rank >= mark->rank)
        link = mark->at < (*link)->at ? &(*link)->lower : &(*link)->higher;
    struct smem_mark *rest = *link, **lower = &mark->lower, **higher = &mark->higher;
    *link = mark;
    while (rest != NULL) {
        if (rest->at < mark->at) {
            *lower = rest;
            lower = &rest->higher;
            rest = *lower;
        } else {
            *higher = rest;
            higher = &rest->lower;
            rest = *higher;
        }
    }
    *lower = NULL;
    *higher = NULL;
}

/* Joins what is below it in its place. */
static void take_out(struct smem_mark *mark)
{
    struct smem_mark **link = &root, *lower = mark->lower, *higher = mark->higher;
    while (*link != mark)
        link = mark->at < (*link)->at ? &(*link)->lower : &(*link)->higher;
    while (lower != NULL && higher != NULL) {
        if (lower->rank >= higher->rank) {
            *link = lower;
            link = &lower->higher;
            lower = *link;
        } else {
            *link = higher;
            link = &higher->lower;
            higher = *link;
        }
    }
    *link = lower != NULL ? lower : higher;
    smem_pool_give(&pool, mark);
}

int smem_mark_cut(uintptr_t at)
{
    const struct smem_mark *before = smem_mark_before(at);
    if (before != NULL && before->at == at)
        return 0;
    void *object;
    int result = smem_pool_take(&pool, &object);
    if (result != 0)
        return result;
    struct smem_mark *mark = object;
    mark->at = at;
    mark->count = before == NULL ? 0 : before->count;
    mark->rank = rank_of(at);
    insert(mark);
    return 0;
}

void smem_mark_mend(uintptr_t at)
{
    struct smem_mark *mark = smem_mark_before(at);
    if (mark != NULL && mark->at == at && smem_mark_count(at - 1) == mark->count)
        take_out(mark);
}

void smem_mark_forget_all(void)
{
    while (root != NULL)
        take_out(root);
}

static bool is_ordered(const struct smem_mark *m)
{
    return (m->lower == NULL || (m->lower->at < m->at && m->lower->rank <= m->rank)) &&
           (m->higher == NULL || (m->higher->at > m->at && m->higher->rank <= m->rank));
}

void smem_mark_check(void)
{
    size_t before = 0;
    for (const struct smem_mark *m = smem_mark_behind(0); m != NULL;
         m = smem_mark_behind(m->at)) {
        if (!is_ordered(m) || m->count == before)
            abort();
        before = m->count;
    }
    if (before != 0)
        abort();
}
