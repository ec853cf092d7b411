/* SPDX-License-Identifier: ISC */
/*
 * The way to another stack and back, on ordinary memory: what an emulator of another
 * processor can run too, which grants no protections.
 */
#include <execinfo.h>
#include <stdlib.h>

#include "scratch/deepest.h"
#include "scratch/run.h"
#include "scratch/switch.h"
#include "unit/unit.h"

#define STACK ((size_t)256 << 10)

static char *stack;

static int set_up(void **state)
{
    (void)state;
    stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return stack == MAP_FAILED;
}

static int take_down(void **state)
{
    (void)state;
    return munmap(stack, STACK);
}

static int run(void (*function)(void *), void *argument)
{
    struct smem_run it = {
        .function = function, .argument = argument, .low = stack, .start = stack + STACK};
    return smem_run(&it);
}

struct seen {
    const char *here;
    void *argument;
    double number;
    bool aligned;
};

static void look(void *argument)
{
    struct seen *seen = argument;
    _Alignas(16) volatile char here[16] = {0};
    seen->here = (const char *)(uintptr_t)here;
    seen->argument = argument;
    seen->number = strtod("0.5", NULL) * 3; /* by the vectors, as far as there are any */
    seen->aligned = (uintptr_t)here % 16 == 0;
}

static void the_function_runs_on_that_stack_and_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct seen seen = {0};
        double kept = i * 0.25; /* in a register that is preserved, where one is */
        __asm__ volatile("" : : : "memory");
        assert_int_equal(run(look, &seen), 0);
        assert_true(seen.here >= stack && seen.here < stack + STACK);
        assert_ptr_equal(seen.argument, &seen);
        assert_true(seen.number == 1.5 && seen.aligned);
        assert_true(kept == i * 0.25);
    }
}

#define FRAMES 32

static void *frames[FRAMES];
static int frame_count;

static void trace(void *argument)
{
    (void)argument;
    frame_count = backtrace(frames, FRAMES);
}

__attribute__((noinline)) static void *run_from_here(void)
{
    assert_int_equal(run(trace, NULL), 0);
    return __builtin_return_address(0);
}

static void unwinding_goes_on_in_the_caller(void **state)
{
    (void)state;
    if (!SMEM_SCRATCH_SWITCHES)
        SKIP("the caller is another thread");
    const void *caller = run_from_here();
    bool found = false;
    for (int i = 0; i < frame_count; i++)
        found = found || frames[i] == caller;
    assert_true(found);
}

#if SMEM_SCRATCH_SWITCHES && !defined(__SANITIZE_ADDRESS__)
static void leave_in_a_vector(void *argument)
{
#if defined(__x86_64__)
    __asm__ volatile("movdqu (%0), %%xmm11" : : "r"(argument) : "memory", "xmm11");
#else
    __asm__ volatile("ldr q29, [%0]" : : "r"(argument) : "memory", "v29");
#endif
}

/* Whether the register still has something; before anything else is called. */
static bool vector_holds(void)
{
    uint64_t left[2];
#if defined(__x86_64__)
    __asm__ volatile("movdqu %%xmm11, (%0)" : : "r"(left) : "memory");
#else
    __asm__ volatile("str q29, [%0]" : : "r"(left) : "memory");
#endif
    return (left[0] | left[1]) != 0;
}

static void registers_are_cleared_on_the_way_back(void **state)
{
    (void)state;
    uint64_t bytes[2] = {0x5ec3e75ec3e7, 0x7e3ce57e3ce5};
    leave_in_a_vector(bytes);
    assert_true(vector_holds()); /* the control */
    smem_scratch_switch(leave_in_a_vector, bytes, stack + STACK);
    assert_false(vector_holds());
}
#else
static void registers_are_cleared_on_the_way_back(void **state)
{
    (void)state;
    SKIP("they are those of another thread, or a sanitizer uses them in between");
}
#endif

/* One byte that is not zero, anywhere, whatever is above it. */
static void the_deepest_byte_is_never_missed(void **state)
{
    (void)state;
    size_t length = 16 * SMEM_DEEPEST_STRIDE;
    char *end = stack + length;
    for (size_t i = 0; i < length; i++) {
        stack[i] = 1 + (char)(i % 100);
        const char *deepest = smem_scratch_deepest(stack, end);
        assert_true(deepest >= stack && deepest <= stack + i);
        assert_true(deepest == stack || stack + i - deepest < (long)SMEM_DEEPEST_STRIDE);
        stack[i] = 0;
    }
    const char *none = smem_scratch_deepest(stack, end);
    assert_true(none == end || none == stack);
    assert_ptr_equal(smem_scratch_deepest(stack, stack), stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_function_runs_on_that_stack_and_comes_back),
        cmocka_unit_test(unwinding_goes_on_in_the_caller),
        cmocka_unit_test(registers_are_cleared_on_the_way_back),
        cmocka_unit_test(the_deepest_byte_is_never_missed),
    };
    return skip_status(cmocka_run_group_tests(tests, set_up, take_down), COUNT(tests));
}
