/* SPDX-License-Identifier: ISC */
/*
 * A region's object becomes that of another region between any two instructions of a thread
 * that looks whether it has an address: the processor stops after each in turn (the trap
 * flag), and the object is changed. An address of neither is in none of both.
 */
#include <signal.h>
#include <ucontext.h>

#include "region/registry.h"
#include "unit/unit.h"

#define UNIT   ((uintptr_t)1 << SMEM_WHERE_UNIT_BITS)
#define FIRST  (100 * UNIT)
#define LONG   (50 * UNIT)
#define SECOND (130 * UNIT)
#define SHORT  (10 * UNIT)
#define NEITHER                                                                          \
    (FIRST + LONG + UNIT) /* behind both; the long one at the second's start has it */

static unsigned steps, change_at;
static void (*change)(void);

#if defined(__x86_64__)

#define TRAP_FLAG 0x100

static void step(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    if (++steps == change_at)
        change();
    if (steps >= change_at)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

/* What look says where the change comes after so many instructions; false: it took fewer. */
static bool look_amid(bool (*look)(void), unsigned at, bool *said)
{
    steps = 0;
    change_at = at;
    __asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq" ::"i"(TRAP_FLAG)
                     : "cc", "memory");
    *said = look();
    __asm__ volatile("pushfq\n\tandq %0, (%%rsp)\n\tpopfq" ::"i"(~TRAP_FLAG)
                     : "cc", "memory");
    return steps >= at;
}

#else

static void step(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
}

static bool look_amid(bool (*look)(void), unsigned at, bool *said)
{
    (void)look;
    (void)at;
    *said = false;
    return false;
}

#endif

/* After how many of its instructions a change makes look hold an address of neither. */
static unsigned torn(bool (*look)(void), void (*reset)(void), unsigned *looked)
{
    unsigned count = 0;
    bool said = false;
    for (*looked = 0;; (*looked)++) {
        reset();
        if (!look_amid(look, *looked + 1, &said))
            return count;
        count += said;
    }
}

static struct smem_region region;

static void be_first(void)
{
    atomic_store(&region.where, smem_where(FIRST, LONG));
}

static void be_second(void)
{
    atomic_store(&region.where, smem_where(SECOND, SHORT));
}

static bool has_neither(void)
{
    return smem_region_holds(&region, NEITHER);
}

/* The control: the same kept in two words, the length read first. */
static _Atomic uintptr_t start, length;

static void begin_first(void)
{
    atomic_store(&start, FIRST);
    atomic_store(&length, LONG);
}

static void begin_second(void)
{
    atomic_store(&length, 0);
    atomic_store(&start, SECOND);
    atomic_store(&length, SHORT);
}

static bool two_words_have_neither(void)
{
    uintptr_t bytes = atomic_load(&length);
    return NEITHER - atomic_load(&start) < bytes;
}

static void no_address_is_in_the_half_of_one_region_and_the_half_of_another(void **state)
{
    (void)state;
    const struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    unsigned looked;
    if (IS_TSAN)
        SKIP("ThreadSanitizer lets signals come late");
    assert_int_equal(sigaction(SIGTRAP, &action, &before), 0);
    change = begin_second;
    unsigned halves = torn(two_words_have_neither, begin_first, &looked);
    change = be_second;
    unsigned found = torn(has_neither, be_first, &looked);
    assert_int_equal(sigaction(SIGTRAP, &before, NULL), 0);
    if (halves == 0)
        SKIP("the control finds nothing: no step is taken here");
    assert_in_range(looked, 5, 1000);
    assert_int_equal(found, 0);
}

static void where_a_region_lies_is_kept_exactly(void **state)
{
    (void)state;
    const uintptr_t starts[] = {UNIT, FIRST, ((uintptr_t)1 << SMEM_ADDRESS_BITS) - LONG};
    const uint64_t lengths[] = {UNIT, LONG, SMEM_REGION_MOST};
    for (size_t i = 0; i < COUNT(starts); i++)
        for (size_t k = 0; k < COUNT(lengths); k++) {
            uintptr_t end = starts[i] + lengths[k];
            atomic_store(&region.where, smem_where(starts[i], lengths[k]));
            assert_true(smem_region_holds(&region, starts[i]));
            assert_true(smem_region_holds(&region, end - 1));
            assert_false(smem_region_holds(&region, starts[i] - 1));
            assert_false(smem_region_holds(&region, end));
        }
    atomic_store(&region.where, 0);
    assert_false(smem_region_holds(&region, 0) || smem_region_holds(NULL, FIRST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_address_is_in_the_half_of_one_region_and_the_half_of_another),
        cmocka_unit_test(where_a_region_lies_is_kept_exactly),
    };
    return RUN_GROUP(tests);
}
