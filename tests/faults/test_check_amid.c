/* SPDX-License-Identifier: ISC */
/*
 * securemem_arena_check comes while another thread makes a secret of a slot that it cached:
 * the canary is on its way to its new place, and nobody overwrote it.
 */
#include <pthread.h>

#include "secret/canary.h"
#include "unit/unit.h"

static securemem_arena *arena;
static atomic_bool armed;
static unsigned checks;

void __real_smem_canary_move(const struct smem_slot *slot, char *old, size_t old_size,
                             char *now, size_t size);
void __wrap_smem_canary_move(const struct smem_slot *slot, char *old, size_t old_size,
                             char *now, size_t size);

static void *check(void *unused)
{
    (void)unused;
    NEED(securemem_arena_check(arena) == 0); /* else it would be misuse, which ends it */
    checks++;
    return NULL;
}

/* In the midst of an allocation, with no lock held: after it moved, before it is told. */
void __wrap_smem_canary_move(const struct smem_slot *slot, char *old, size_t old_size,
                             char *now, size_t size)
{
    __real_smem_canary_move(slot, old, old_size, now, size);
    pthread_t thread;
    if (!atomic_exchange(&armed, false))
        return;
    NEED(pthread_create(&thread, NULL, check, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
}

static int make_amid(void *unused)
{
    (void)unused;
    arena = arena_of((securemem_arena_options){.idle = SIZE_MAX});
    for (size_t size = 16; size <= 4000; size = size == 16 ? 4000 : 4001) {
        securemem_free(
            securemem_arena_alloc(arena, 4016 - size)); /* cached from now on */
        securemem_free(securemem_arena_alloc(arena, 4016 - size));
        atomic_store(&armed, true);
        char *secret = securemem_arena_alloc(arena, size);
        NEED(secret != NULL && !atomic_load(&armed));
        securemem_free(secret);
    }
    NEED(checks == 2);
    securemem_arena_destroy(arena);
    return 0;
}

static void a_canary_that_moves_is_not_a_broken_one(void **state)
{
    (void)state;
    CHILD_PASSES(make_amid, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_canary_that_moves_is_not_a_broken_one),
    };
    return RUN_GROUP(tests);
}
