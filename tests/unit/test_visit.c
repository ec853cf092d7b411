/* SPDX-License-Identifier: ISC */
/*
 * Whoever ends a slot waits for those who saw it LIVE. One thread ends a slot and writes, as
 * to its next secret; the other visits, and looks whether anything is written while it still
 * holds the slot for LIVE.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "region/visit.h"
#include "region/wipe.h"
#include "support/need.h"
#include "support/seccomp.h"
#include "unit/unit.h"

#define STAY     64   /* looks in a visit */
#define PATIENCE 20.0 /* seconds, for the control: the machine may have much else to do */

/* Stores that miss the cache: the one to the slot's state, behind them, takes long. */
#define STORES 8U
#define STRIDE 4160U
#define FAR    ((size_t)8 << 20)
static volatile char far[FAR];

static struct smem_slot slot;
static atomic_ulong written;
static atomic_bool over;

/* The same, but that nobody asks for a barrier in the thread that ends the slot. */
static atomic_uint unguarded_visits;

static void begin_unguarded(void)
{
    atomic_fetch_add(&unguarded_visits, 1);
}

static void end_unguarded(void)
{
    atomic_fetch_sub(&unguarded_visits, 1);
}

static void end_slot_unguarded(struct smem_slot *s, enum smem_slot_state state)
{
    atomic_store_explicit(&s->state, (unsigned char)state, memory_order_release);
    while (atomic_load_explicit(&unguarded_visits, memory_order_acquire) != 0)
        continue;
}

static void end_slot_guarded(struct smem_slot *s, enum smem_slot_state state)
{
    smem_slot_end(s, state);
}

struct way {
    void (*begin)(void);
    void (*end)(void);
    void (*end_slot)(struct smem_slot *slot, enum smem_slot_state state);
};

static struct way unguarded = {begin_unguarded, end_unguarded, end_slot_unguarded};
static struct way guarded = {smem_visit_begin, smem_visit_end, end_slot_guarded};

static void *end_again_and_again(void *argument)
{
    const struct way *way = argument;
    for (size_t at = 0; !atomic_load_explicit(&over, memory_order_relaxed);) {
        atomic_store_explicit(&slot.state, SMEM_SLOT_LIVE, memory_order_release);
        for (unsigned i = 0; i < STORES; i++, at += STRIDE)
            far[at % FAR] = 1;
        way->end_slot(&slot, SMEM_SLOT_CACHED);
        atomic_fetch_add_explicit(&written, 1, memory_order_relaxed);
    }
    return NULL;
}

/* Whether something was written in the course of one visit. */
static bool is_overtaken(const struct way *way)
{
    bool overtaken = false;
    way->begin();
    if (atomic_load_explicit(&slot.state, memory_order_acquire) == SMEM_SLOT_LIVE) {
        unsigned long before = atomic_load_explicit(&written, memory_order_relaxed);
        for (unsigned i = 0; i < STAY && !overtaken; i++)
            overtaken = atomic_load_explicit(&written, memory_order_relaxed) != before;
    }
    way->end();
    return overtaken;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Whether a visit is overtaken, for so many seconds. */
static bool some_is_overtaken(struct way *way, double seconds)
{
    pthread_t thread;
    bool overtaken = false;
    double start = now();
    atomic_store(&over, false);
    NEED(pthread_create(&thread, NULL, end_again_and_again, way) == 0);
    while (!overtaken && now() - start < seconds)
        overtaken = is_overtaken(way);
    atomic_store(&over, true);
    NEED(pthread_join(thread, NULL) == 0);
    return overtaken;
}

static void without_its_barrier_a_visitor_is_overtaken(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    if (CPU_COUNT(&allowed) < 2)
        SKIP("one processor alone reorders nothing that its threads could see");
    if (!some_is_overtaken(&unguarded, PATIENCE))
        SKIP("this processor did not reorder a store and a load in time: that the others "
             "hold says less here");
}

static int visit_guarded(void *unused)
{
    (void)unused;
    double seconds = pace() > 1 ? 0.3 : 3; /* the control takes one or two */
    NEED(!some_is_overtaken(&guarded, seconds));
    return 0;
}

static void a_slot_that_ends_waits_for_a_visitor(void **state)
{
    (void)state;
    CHILD_PASSES(visit_guarded, NULL);
}

static int visit_unaided(void *unused)
{
    atomic_fetch_or(&smem_visits, SMEM_VISITS_UNAIDED);
    return visit_guarded(unused);
}

static void where_the_kernel_has_no_barrier_whoever_ends_a_slot_has_one(void **state)
{
    (void)state;
    CHILD_PASSES(visit_unaided, NULL);
}

/* It was announced when the library was loaded; then comes the sandbox. */
static int visit_in_a_sandbox(void *error)
{
    if (!seccomp_answer(SYS_membarrier, *(const int *)error))
        _exit(SKIP_EXIT);
    NEED(visit_guarded(NULL) == 0);
    NEED((smem_visits & SMEM_VISITS_UNAIDED) != 0 && !smem_visit_is_on());
    char *secret = securemem_alloc(100);
    NEED(secret != NULL);
    memset(secret, 's', 100);
    NEED(securemem_wipe_all() == 0);
    for (unsigned i = 0; i < 100; i++)
        NEED(secret[i] == 0);
    securemem_free(secret);
    return 0;
}

static void a_sandbox_may_take_the_barrier_away(void **state)
{
    (void)state;
    static int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < COUNT(errors); i++)
        if (child_skips(visit_in_a_sandbox, &errors[i]))
            SKIP("this kernel has no seccomp filters");
}

/* Whoever asks in a sandbox is refused, and remembers it. */
static int wipe_at_the_end(void *unused)
{
    (void)unused;
    if ((smem_visits & SMEM_VISITS_UNAIDED) != 0 ||
        !seccomp_answer(SYS_membarrier, EPERM))
        _exit(SKIP_EXIT);
    char *secret = securemem_alloc(100);
    NEED(secret != NULL);
    memset(secret, 's', 100);
    NEED(smem_wipe_regions(SMEM_WIPE_PAGES) == 0);
    NEED(smem_visits == 0 && secret[0] == 0 && secret[99] == 0);
    NEED(smem_wipe_regions(SMEM_WIPE_SECRETS) == 0);
    NEED(smem_visits == SMEM_VISITS_UNAIDED);
    return 0;
}

static void the_wipe_before_an_abort_asks_for_no_barrier(void **state)
{
    (void)state;
    if (child_skips(wipe_at_the_end, NULL))
        SKIP("this kernel has no seccomp filters, or no barrier to ask for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_its_barrier_a_visitor_is_overtaken),
        cmocka_unit_test(a_slot_that_ends_waits_for_a_visitor),
        cmocka_unit_test(where_the_kernel_has_no_barrier_whoever_ends_a_slot_has_one),
        cmocka_unit_test(a_sandbox_may_take_the_barrier_away),
        cmocka_unit_test(the_wipe_before_an_abort_asks_for_no_barrier),
    };
    return RUN_GROUP(tests);
}
