/* SPDX-License-Identifier: ISC */
/* A function on a scratch stack: what the kernel says of it, and what is left of it. */
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit/unit.h"

/* Room for stdio and, where there is one, a sanitizer. */
#define SMALL ((size_t)48 << 10)
#define LARGE ((size_t)192 << 10)

#if defined(__SANITIZE_ADDRESS__)
#define KNOWS_STACKS                                                                     \
    true /* and is not told where a function leaves one without returning */
#else
#define KNOWS_STACKS false
#endif

/* Where the last call stood, and what the kernel said of it. */
static struct view seen;
static char *at;
static pthread_t ran_in;

__attribute__((noinline)) static void look(void *argument)
{
    char here = 0;
    at = &here;
    ran_in = pthread_self();
    if (!view_at(at, &seen))
        memset(&seen, 0, sizeof seen);
    if (argument != NULL)
        *(int *)argument += 1;
}

static void do_nothing(void *argument)
{
    (void)argument;
}

static bool runs_in_a_thread(void)
{
    assert_int_equal(securemem_scratch_call(look, NULL, 0), 0);
    return !pthread_equal(ran_in, pthread_self());
}

static bool stack_is_zero(void)
{
    return all_bytes_are((char *)seen.start, seen.end - seen.start, 0);
}

static void inside_the_stack_is_locked_guarded_and_not_dumped(void **state)
{
    (void)state;
    const size_t sizes[] = {SMALL, 0, LARGE};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        int calls = 0;
        errno = 77;
        assert_int_equal(securemem_scratch_call(look, &calls, sizes[i]), 0);
        assert_int_equal(calls, 1);
        assert_true(seen.start != 0);
        assert_string_equal(seen.permissions, "rw-p");
        assert_true(view_has(&seen, "lo") && view_has(&seen, "dd"));
        assert_int_equal(seen.locked_kb, (seen.end - seen.start) >> 10);
        assert_false(view_readable((char *)seen.start - 1));
        assert_false(view_readable((char *)seen.end));
        size_t size = sizes[i] == 0 ? SECUREMEM_SCRATCH_DEFAULT : sizes[i];
        assert_true((size_t)(at - (char *)seen.start) >= size);
        securemem_protection report;
        assert_int_equal(securemem_protection((void *)seen.start, &report), 0);
        assert_true(report.lock.holds && report.guards.holds && report.no_dump.holds &&
                    report.fork_safety.holds);
    }
    assert_int_equal(securemem_scratch_trim(), 0);
}

/* Writes little, far down: whoever looks here and there would not see it. */
__attribute__((noinline)) static void write_far_down(void *argument)
{
    char leapt_over[LARGE];
    leapt_over[*(size_t *)argument] = 1;
    __asm__ volatile("" : : "r"(leapt_over) : "memory");
    look(NULL);
}

__attribute__((noinline)) static void write_all_over(void *argument)
{
    volatile char all[LARGE];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)(i + *(size_t *)argument);
    look(NULL);
}

static void afterwards_every_byte_of_the_stack_is_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(securemem_scratch_call(write_far_down, &i, LARGE + SMALL), 0);
        assert_true(stack_is_zero());
    }
    for (size_t i = 1; i < 5; i++) {
        assert_int_equal(securemem_scratch_call(write_all_over, &i, LARGE + SMALL), 0);
        assert_true(stack_is_zero());
    }
    assert_int_equal(securemem_scratch_trim(), 0);
}

static void the_stack_is_used_again_and_grows(void **state)
{
    (void)state;
    assert_int_equal(securemem_scratch_trim(), 0);
    size_t locked = view_locked_bytes();
    assert_int_equal(securemem_scratch_call(look, NULL, SMALL), 0);
    struct view first = seen;
    size_t kept = view_locked_bytes() - locked;
    assert_int_equal(kept, first.end - first.start);
    assert_int_equal(securemem_scratch_call(look, NULL, SMALL / 2), 0);
    assert_int_equal(seen.start, first.start);
    assert_int_equal(securemem_scratch_call(look, NULL, LARGE), 0);
    assert_true(seen.end - seen.start >= LARGE);
    assert_int_equal(view_locked_bytes() - locked, seen.end - seen.start);
    assert_int_equal(budget_now().charged, view_locked_bytes());
    assert_int_equal(securemem_scratch_trim(), 0);
    assert_int_equal(view_locked_bytes(), locked);
    assert_int_equal(securemem_scratch_trim(), 0);
}

static void overflow(void *argument)
{
    look(NULL);
    *(volatile uintptr_t *)argument = seen.start;
    volatile char *down = at;
    for (;;)
        *--down = 1;
}

static int overflow_in_child(void *argument)
{
    return securemem_scratch_call(overflow, argument, LARGE);
}

static void an_overflow_faults_at_the_guard(void **state)
{
    (void)state;
    uintptr_t *low = mmap(NULL, sizeof *low, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(low, MAP_FAILED);
    struct child_end end;
    child_run(overflow_in_child, low, &end);
    assert_int_equal(end.signal, SIGSEGV);
    assert_true(*low != 0);
    assert_int_equal(end.fault, *low - 1);
    munmap(low, sizeof *low);
}

struct nest {
    size_t size;
    int depth, calls;
};

static void nest(void *argument)
{
    struct nest *it = argument;
    volatile char kept[64];
    for (size_t i = 0; i < sizeof kept; i++)
        kept[i] = (char)it->depth;
    it->calls++;
    if (it->depth-- > 0)
        NEED(securemem_scratch_call(nest, it, it->size) == 0);
    it->depth++;
    for (size_t i = 0; i < sizeof kept; i++)
        NEED(kept[i] == it->depth);
}

static void calls_nest_on_one_stack_and_on_several(void **state)
{
    (void)state;
    const size_t outer[] = {LARGE, SMALL};
    assert_int_equal(securemem_scratch_trim(), 0);
    for (size_t i = 0; i < COUNT(outer); i++) {
        size_t locked = view_locked_bytes();
        struct nest it = {.size = SMALL, .depth = 6};
        assert_int_equal(securemem_scratch_call(nest, &it, outer[i]), 0);
        assert_int_equal(it.calls, 7);
        assert_int_equal(securemem_scratch_call(look, NULL, outer[i]), 0);
        assert_true(stack_is_zero());
        assert_int_equal(securemem_scratch_trim(), 0);
        assert_int_equal(view_locked_bytes(), locked);
    }
}

/* From much more to less than what is left of the stack that it stands on. */
static void nest_in_each_size(void *argument)
{
    int *calls = argument;
    for (size_t size = LARGE - SMALL; size < LARGE + SMALL; size += 64)
        NEED(securemem_scratch_call(look, calls, size) == 0);
}

static void what_nests_leaves_its_caller_as_it_is(void **state)
{
    (void)state;
    int calls = 0;
    assert_int_equal(securemem_scratch_call(nest_in_each_size, &calls, LARGE), 0);
    assert_int_equal(calls, 2 * SMALL / 64);
    assert_int_equal(securemem_scratch_trim(), 0);
}

static void *call_often(void *argument)
{
    for (size_t i = 0; i < 300; i++) {
        struct nest it = {.size = SMALL, .depth = 2};
        NEED(securemem_scratch_call(nest, &it, (i % 3) * SMALL) == 0);
        NEED(it.calls == 3);
    }
    return argument;
}

static void threads_have_stacks_of_their_own_which_end_with_them(void **state)
{
    (void)state;
    assert_int_equal(securemem_scratch_trim(), 0);
    size_t locked = view_locked_bytes();
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(view_locked_bytes(), locked);
}

/* Leaves the function by an unwinding of all frames, these and the caller's. */
static void leave_thread(void *argument)
{
    pthread_exit(argument);
}

static void *leave_inside(void *argument)
{
    NEED(securemem_scratch_call(leave_thread, argument, 0) == 0);
    return NULL;
}

static void a_thread_may_end_inside(void **state)
{
    (void)state;
    if (runs_in_a_thread())
        SKIP("it is another thread that would end");
    if (KNOWS_STACKS)
        SKIP("AddressSanitizer would take the thread's stack for the scratch stack");
    assert_int_equal(securemem_scratch_trim(), 0);
    size_t locked = view_locked_bytes();
    pthread_t thread;
    void *result;
    int argument;
    assert_int_equal(pthread_create(&thread, NULL, leave_inside, &argument), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &argument);
    assert_int_equal(view_locked_bytes(), locked);
}

static jmp_buf outside;

static void jump(void *argument)
{
    char left[256];
    memset(left, 0x5a, sizeof left);
    __asm__ volatile("" : : "r"(left) : "memory");
    look(NULL);
    longjmp(outside, *(int *)argument);
}

static void what_a_jump_leaves_is_wiped_by_the_next_call(void **state)
{
    (void)state;
    if (runs_in_a_thread())
        SKIP("no jump leads to another thread");
    if (KNOWS_STACKS)
        SKIP("AddressSanitizer would take the thread's stack for the scratch stack");
    assert_int_equal(securemem_scratch_trim(), 0);
    size_t locked = view_locked_bytes();
    int value = 3;
    for (volatile int i = 0; i < 3; i++) {
        int jumped = setjmp(outside);
        if (jumped == 0) {
            assert_int_equal(securemem_scratch_call(jump, &value, SMALL), 0);
            fail();
        }
        assert_int_equal(jumped, value);
        assert_false(stack_is_zero());
    }
    struct view left = seen;
    assert_int_equal(securemem_scratch_call(do_nothing, NULL, SMALL), 0);
    assert_true(all_bytes_are((char *)left.start, left.end - left.start, 0));
    if (setjmp(outside) == 0) {
        assert_int_equal(securemem_scratch_call(jump, &value, LARGE), 0);
        fail();
    }
    left = seen; /* of which the next uses the lower part alone */
    assert_int_equal(securemem_scratch_call(do_nothing, NULL, SMALL), 0);
    assert_true(all_bytes_are((char *)left.start, left.end - left.start, 0));
    assert_int_equal(securemem_scratch_trim(), 0);
    assert_int_equal(view_locked_bytes(), locked);
}

#define FRAMES 32

static void *frames[FRAMES];
static int frame_count;

static void trace(void *argument)
{
    (void)argument;
    frame_count = backtrace(frames, FRAMES);
}

__attribute__((noinline)) static void *call_from_here(void)
{
    assert_int_equal(securemem_scratch_call(trace, NULL, 0), 0);
    return __builtin_return_address(0);
}

static void a_backtrace_goes_on_into_the_caller(void **state)
{
    (void)state;
    if (runs_in_a_thread())
        SKIP("the caller is another thread");
    const void *caller = call_from_here();
    bool found = false;
    for (int i = 0; i < frame_count; i++)
        found = found || frames[i] == caller;
    assert_true(found);
}

static void arguments_out_of_range_are_refused(void **state)
{
    (void)state;
    int calls = 0;
    assert_int_equal(securemem_scratch_call(NULL, &calls, 0), -EINVAL);
    assert_int_equal(securemem_last_error()->code, EINVAL);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 5000, SIZE_MAX / 2, (size_t)1 << 46};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(securemem_scratch_call(look, &calls, sizes[i]), -ENOMEM);
        assert_int_equal(securemem_last_error()->code, ENOMEM);
    }
    assert_int_equal(calls, 0);
    errno = 77;
    assert_int_equal(securemem_scratch_call(do_nothing, NULL, SMALL), 0);
    assert_int_equal(securemem_scratch_call(do_nothing, NULL, LARGE), 0);
    assert_int_equal(errno, 77);
    assert_int_equal(securemem_scratch_trim(), 0);
}

static int call_as_ordinary(void *argument)
{
    size_t limit = *(size_t *)argument;
    int calls = 0;
    if (!child_become_ordinary(limit))
        return SKIP_EXIT;
    size_t mappings = view_mappings();
    int result = securemem_scratch_call(look, &calls, LARGE);
    NEED(calls == 0);
    NEED(result == (limit == 0 ? -EPERM : -ENOMEM));
    NEED(securemem_last_error()->code == -result);
    NEED(strstr(securemem_last_error()->message, "RLIMIT_MEMLOCK") != NULL);
    NEED(view_locked_bytes() == 0);
    NEED(view_mappings() <= mappings + 4); /* bookkeeping */
    if (limit > LARGE / 2)
        NEED(securemem_scratch_call(look, &calls, SMALL) == 0 && calls == 1);
    return 0;
}

static void a_lock_limit_that_is_too_small_is_told_and_nothing_is_called(void **state)
{
    (void)state;
    size_t limits[] = {0, LARGE - 4096, LARGE};
    for (size_t i = 0; i < COUNT(limits); i++)
        CHILD_PASSES(call_as_ordinary, &limits[i]);
}

static void wipe_everything(void *argument)
{
    unsigned char *secret = argument;
    NEED(securemem_wipe_all() == 0);
    NEED(all_bytes_are(secret, 64, 0));
}

static void wipe_all_inside_leaves_the_stack_that_it_stands_on(void **state)
{
    (void)state;
    unsigned char *secret = securemem_alloc(64);
    assert_non_null(secret);
    memset(secret, 1, 64);
    assert_int_equal(securemem_scratch_call(wipe_everything, secret, 0), 0);
    securemem_free(secret);
}

static void free_twice(void *argument)
{
    securemem_free(argument);
    securemem_free(argument);
}

static int misuse_inside(void *argument)
{
    (void)argument;
    NEED(signal(SIGABRT, SIG_DFL) != SIG_ERR);
    return securemem_scratch_call(free_twice, securemem_alloc(1), 0);
}

/* Everything is wiped before, but not what the abort itself needs. */
static void misuse_inside_aborts_as_elsewhere(void **state)
{
    (void)state;
    struct child_end end;
    child_run(misuse_inside, NULL, &end);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.errors, "double free"));
}

/*
 * Each register that a function may leave anything in, filled before the call and stored
 * behind it: the compiler's own code would use some of them in between.
 */
#if defined(__x86_64__)
#define HAS_PROBE true
struct registers {
    uint64_t general[9], vector[16][2];
};
void probe_registers(struct registers *out, uint64_t marker);
#define FILL(number)                                                                     \
    "movq %rsi, %xmm" #number "\n\tpunpcklqdq %xmm" #number ", %xmm" #number "\n\t"
#define STORE(number) "movdqu %xmm" #number ", (72 + 16 * " #number ")(%rbx)\n\t"
#define EACH(what)                                                                       \
    what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9)      \
        what(10) what(11) what(12) what(13) what(14) what(15)
__asm__(".text\n"
        ".globl probe_registers\n"
        ".type probe_registers, @function\n"
        "probe_registers:\n\t"
        "pushq %rbx\n\t"
        "movq %rdi, %rbx\n\t" EACH(
            FILL) "movq %rsi, %rax\n\t"
                  "movq %rsi, %rcx\n\t"
                  "movq %rsi, %rdx\n\t"
                  "movq %rsi, %rdi\n\t"
                  "movq %rsi, %r8\n\t"
                  "movq %rsi, %r9\n\t"
                  "movq %rsi, %r10\n\t"
                  "movq %rsi, %r11\n\t"
                  "call securemem_clear_registers@PLT\n\t"
                  "movq %rax, 0(%rbx)\n\t"
                  "movq %rcx, 8(%rbx)\n\t"
                  "movq %rdx, 16(%rbx)\n\t"
                  "movq %rsi, 24(%rbx)\n\t"
                  "movq %rdi, 32(%rbx)\n\t"
                  "movq %r8, 40(%rbx)\n\t"
                  "movq %r9, 48(%rbx)\n\t"
                  "movq %r10, 56(%rbx)\n\t"
                  "movq %r11, 64(%rbx)\n\t" EACH(
                      STORE) "popq %rbx\n\t"
                             "ret\n"
                             ".size probe_registers, . - probe_registers\n");
#else
#define HAS_PROBE false
struct registers {
    uint64_t general[1], vector[1][2];
};
static void probe_registers(struct registers *out, uint64_t marker)
{
    (void)marker;
    memset(out, 0, sizeof *out);
}
#endif

static void no_register_keeps_what_was_in_it(void **state)
{
    (void)state;
    if (!HAS_PROBE)
        SKIP("registers are filled on x86-64");
    struct registers left;
    probe_registers(&left, 0x5ec3e75ec3e75ec3);
    for (size_t i = 0; i < COUNT(left.general); i++)
        assert_int_equal(left.general[i], 0);
    for (size_t i = 0; i < COUNT(left.vector); i++)
        assert_true(left.vector[i][0] == 0 && left.vector[i][1] == 0);
}

int main(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL); /* a sanitizer's would be counted as well */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inside_the_stack_is_locked_guarded_and_not_dumped),
        cmocka_unit_test(afterwards_every_byte_of_the_stack_is_zero),
        cmocka_unit_test(the_stack_is_used_again_and_grows),
        cmocka_unit_test(an_overflow_faults_at_the_guard),
        cmocka_unit_test(calls_nest_on_one_stack_and_on_several),
        cmocka_unit_test(what_nests_leaves_its_caller_as_it_is),
        cmocka_unit_test(threads_have_stacks_of_their_own_which_end_with_them),
        cmocka_unit_test(a_thread_may_end_inside),
        cmocka_unit_test(what_a_jump_leaves_is_wiped_by_the_next_call),
        cmocka_unit_test(no_register_keeps_what_was_in_it),
        cmocka_unit_test(a_backtrace_goes_on_into_the_caller),
        cmocka_unit_test(arguments_out_of_range_are_refused),
        cmocka_unit_test(a_lock_limit_that_is_too_small_is_told_and_nothing_is_called),
        cmocka_unit_test(misuse_inside_aborts_as_elsewhere),
        cmocka_unit_test(wipe_all_inside_leaves_the_stack_that_it_stands_on),
    };
    return RUN_GROUP(tests);
}
