/* SPDX-License-Identifier: ISC */
/*
 * While one thread ends a region, another makes secrets of an arena that protects less at
 * the place that has just become free. What it frees there must not be handed out by the
 * arena whose region that was.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "region/metadata.h"
#include "region/registry.h"
#include "unit/unit.h"

#define SIZE  2000 /* two to a page */
#define GRACE 1    /* seconds */

static securemem_arena *locked, *loose;
static atomic_bool armed;
static sem_t ended, looked;

void __real_smem_pool_give(struct smem_pool *pool, void *object);
void __wrap_smem_pool_give(struct smem_pool *pool, void *object);

/* The last thing that the end of a region does, with the stripe of its arena held. */
void __wrap_smem_pool_give(struct smem_pool *pool, void *object)
{
    __real_smem_pool_give(pool, object);
    if (!atomic_exchange(&armed, false))
        return;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GRACE;
    sem_post(&ended);
    /* The other thread may come to wait for the stripe: then it is let go on. */
    while (sem_timedwait(&looked, &until) != 0 && errno == EINTR)
        continue;
}

static unsigned removed;

void __real_smem_registry_remove(struct smem_region *region);
void __wrap_smem_registry_remove(struct smem_region *region);

/* From its return on another thread may enter a region with the same addresses. */
void __wrap_smem_registry_remove(struct smem_region *region)
{
    uintptr_t first = (uintptr_t)region->base, last = first + region->length - 1;
    NEED(smem_region_holds(region, first) && smem_region_holds(region, last));
    __real_smem_registry_remove(region);
    NEED(!smem_region_holds(region, first) && !smem_region_holds(region, last));
    removed++;
}

/* What it cached goes back when it ends: with it the page, and the run. */
static void *free_both(void *secrets)
{
    void **both = secrets;
    securemem_free(both[0]);
    securemem_free(both[1]);
    atomic_store(&armed, true);
    return NULL;
}

static void a_region_that_ends_is_forgotten_before_its_place_is_free(void **state)
{
    (void)state;
    assert_int_equal(sem_init(&ended, 0, 0) | sem_init(&looked, 0, 0), 0);
    locked = arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED});
    loose = arena_of(
        (securemem_arena_options){.placement = SECUREMEM_PACKED, .lock = SECUREMEM_OFF});
    securemem_free(securemem_arena_alloc(loose, SIZE)); /* its bookkeeping is there */
    assert_int_equal(securemem_arena_trim(loose), 0);
    void *secrets[2];
    for (size_t i = 0; i < 2; i++)
        assert_non_null(secrets[i] = securemem_arena_alloc(locked, SIZE));
    securemem_free(secrets[0]); /* this thread knows the run, and has none of it */
    assert_non_null(secrets[0] = securemem_arena_alloc(locked, SIZE));

    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, free_both, secrets), 0);
    assert_int_equal(sem_wait(&ended), 0);
    char *other = securemem_arena_alloc(loose, SIZE);
    bool same = other == secrets[0] || other == secrets[1];
    securemem_free(other);
    char *secret = securemem_arena_alloc(locked, SIZE);
    sem_post(&looked);
    assert_int_equal(pthread_join(thread, NULL), 0);

    assert_non_null(secret);
    struct view view;
    assert_true(view_at(secret, &view) && view_has(&view, "lo"));
    if (!same)
        SKIP("the kernel gave the place that was free to nobody");
    securemem_arena_destroy(locked);
    securemem_arena_destroy(loose);
}

/* Those who remember it look for themselves whether it has an address. */
static void a_region_has_no_address_once_another_can_have_it(void **state)
{
    (void)state;
    const securemem_placement placements[] = {SECUREMEM_GUARDED, SECUREMEM_PACKED};
    for (size_t i = 0; i < COUNT(placements); i++) {
        securemem_arena *arena =
            arena_of((securemem_arena_options){.placement = placements[i]});
        assert_non_null(securemem_arena_alloc(arena, SIZE));
        removed = 0;
        securemem_arena_destroy(arena);
        assert_int_equal(removed, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_that_ends_is_forgotten_before_its_place_is_free),
        cmocka_unit_test(a_region_has_no_address_once_another_can_have_it),
    };
    return RUN_GROUP(tests);
}
