/* SPDX-License-Identifier: ISC */
/*
 * Attack: freeze a process after a function used a key, or while a signal interrupts it, and
 * look for any 8 bytes in a row of the key outside of its secret. The function leaves it in
 * its frames, in those of a hash, and in registers of every kind. Control: the same function
 * called as functions are.
 */
#include <signal.h>
#include <sodium.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attacks/scan.h"

#define KEY_BYTES  MARKER_BYTES
#define KEY_PIECES (KEY_BYTES - PIECE_BYTES + 1)
#define STACK      ((size_t)32 << 10)
#define ALTERNATE  ((size_t)64 << 10)

enum signal_kind { NO_SIGNAL, ON_ITS_STACK, ON_ALTERNATE };

struct plan {
    bool scratch;
    enum signal_kind signal;
    bool in_handler; /* frozen there, else after the call */
    int depth;
};

static const struct plan *current;

/* What a frozen handler may have below it: locked pages, which its subject tells. */
static void tell_stack(const void *address)
{
    struct view view;
    attack_require(view_at(address, &view), "smaps");
    if (view_has(&view, "lo"))
        subject_tell((const void *)view.start, view.end - view.start);
}

static void handle(int number)
{
    (void)number;
    char here = 0;
    if (!current->in_handler)
        return;
    tell_stack(&here);
    SUBJECT_FREEZE();
}

#if defined(__x86_64__)
/* The key's pieces in registers that functions need not preserve, then a signal. */
static void load_registers(const unsigned char *key, bool interrupted)
{
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile("vmovdqu64 (%0), %%zmm19\n\t"
                         "vmovdqu64 (%0), %%zmm7"
                         :
                         : "r"(key)
                         : "memory", "xmm7");
    else if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vmovdqu 8(%0), %%ymm7" : : "r"(key) : "memory", "xmm7");
    long call = SYS_kill;
    __asm__ volatile("movdqu 3(%3), %%xmm9\n\t"
                     "movq 24(%3), %%mm3\n\t"
                     "mov 32(%3), %%r10\n\t"
                     "mov 40(%3), %%r9\n\t"
                     "mov 48(%3), %%r8\n\t"
                     "test %4, %4\n\t"
                     "jz 1f\n\t"
                     "syscall\n"
                     "1:"
                     : "+a"(call)
                     : "D"((long)getpid()), "S"((long)SIGUSR1), "r"(key),
                       "r"((long)interrupted)
                     : "memory", "rcx", "r11", "r10", "r9", "r8", "xmm9", "mm3", "cc");
}
#else
static void load_registers(const unsigned char *key, bool interrupted)
{
    (void)key;
    if (interrupted)
        raise(SIGUSR1);
}
#endif

static int depth;

__attribute__((noinline)) static void use(void *argument)
{
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    const unsigned char *key = argument;
    unsigned char local[300], hash[crypto_generichash_BYTES];
    copy(local + 7 * (depth % 30), key, KEY_BYTES);
    crypto_generichash(hash, sizeof hash, key, KEY_BYTES, local, KEY_BYTES);
    if (depth-- > 0) {
        use(argument);
    } else {
        if (current->in_handler)
            tell_stack(local);
        load_registers(hidden(argument), current->signal != NO_SIGNAL);
    }
    (void)hidden(local);
}

static void run(const void *argument)
{
    static unsigned char alternate[ALTERNATE];
    current = argument;
    depth = current->depth;
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    attack_require(secret != NULL, "securemem_alloc");
    subject_receive(secret, KEY_BYTES);
    subject_tell(secret, KEY_BYTES);
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    attack_require(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    if (current->signal == ON_ALTERNATE)
        attack_require(sigaltstack(&stack, NULL) == 0, "sigaltstack");
    if (current->signal == ON_ALTERNATE && !current->scratch)
        subject_tell(alternate, sizeof alternate);
    if (current->scratch)
        attack_require(securemem_scratch_call(use, secret, STACK) == 0, "scratch");
    else
        use(secret);
    SUBJECT_FREEZE();
}

/* False where the machine cannot run the attack. */
static bool attack(const struct plan *plan, struct scan *scan)
{
    struct subject subject;
    if (!scan_is_known() || !subject_start(&subject, true, run, plan))
        return false;
    unsigned char key[KEY_BYTES];
    struct pieces pieces;
    marker_draw(key);
    pieces_of(&pieces, key, sizeof key);
    subject_send(&subject, key, sizeof key);
    subject_run(&subject);
    if (subject.stop == SIGUSR1)
        subject_run(&subject); /* it stops at its signal, which is delivered now */
    int stop = subject.stop;
    if (stop == SIGTRAP)
        *scan = scan_subject(&subject, &pieces);
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (stop != SIGTRAP)
        fail_msg("stopped by %d: %s", stop, words);
    return true;
}

static const enum signal_kind kinds[] = {NO_SIGNAL, ON_ITS_STACK, ON_ALTERNATE};
static const int depths[] = {0, 1, 7, 20};

static void a_scratch_call_leaves_no_piece_of_a_key(void **state)
{
    (void)state;
    size_t runs = 0;
    for (size_t i = 0; i < COUNT(kinds) * COUNT(depths); i++) {
        struct plan plan = {
            .scratch = true, .signal = kinds[i % 3], .depth = depths[i / 3]};
        struct scan scan;
        if (!attack(&plan, &scan))
            SKIP("registers are known on x86-64, where ptrace(2) is allowed");
        if (scan.elsewhere + scan.registers > 0 || scan.in_place != KEY_PIECES)
            fail_msg(
                "signal %d, depth %d: %zu pieces in memory, %zu in registers, %zu in "
                "place\n%s",
                plan.signal, plan.depth, scan.elsewhere, scan.registers, scan.in_place,
                scan.where);
        runs++;
    }
    NOTE("0 pieces in %zu runs", runs);
}

static void a_signal_finds_pieces_on_locked_pages_alone(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT(kinds); i++) {
        struct plan plan = {.scratch = true, .signal = kinds[i], .in_handler = true};
        struct scan scan;
        if (!attack(&plan, &scan))
            SKIP("registers are known on x86-64, where ptrace(2) is allowed");
        NOTE("signal %d: %zu pieces on locked pages, %zu elsewhere", plan.signal,
             scan.in_place - KEY_PIECES, scan.elsewhere);
        if (scan.elsewhere > 0)
            fail_msg("signal %d: %zu pieces in memory\n%s", plan.signal, scan.elsewhere,
                     scan.where);
        assert_true(scan.in_place > KEY_PIECES); /* the frame of the signal has them */
    }
}

static void the_same_function_called_plainly_leaves_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(kinds); i++) {
        struct plan plan = {.signal = kinds[i % 3], .in_handler = i >= 3};
        if (plan.in_handler && plan.signal == NO_SIGNAL)
            continue;
        struct scan scan;
        if (!attack(&plan, &scan))
            SKIP("registers are known on x86-64, where ptrace(2) is allowed");
        NOTE("signal %d%s: %zu pieces in memory, %zu in registers", plan.signal,
             plan.in_handler ? ", in its handler" : "", scan.elsewhere, scan.registers);
        assert_true(scan.elsewhere >= 1);
        if (plan.signal == ON_ALTERNATE)
            assert_true(scan.in_place > KEY_PIECES); /* in the program's own one */
        if (!plan.in_handler)
            assert_true(scan.registers >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_function_called_plainly_leaves_pieces),
        cmocka_unit_test(a_scratch_call_leaves_no_piece_of_a_key),
        cmocka_unit_test(a_signal_finds_pieces_on_locked_pages_alone),
    };
    return RUN_GROUP(tests);
}
