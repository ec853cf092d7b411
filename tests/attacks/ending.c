/* SPDX-License-Identifier: ISC */
/*
 * Attack: hold a process at the moment it ends, when nothing of it runs any more but all of
 * its memory is there (PTRACE_EVENT_EXIT), and search that and its registers. Control: the
 * same end without securemem_wipe_on_exit and securemem_wipe_on_fatal_signal.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/scan.h"

#define EXIT_CODE 7

static unsigned char *secret;
static bool looks_at_exit;

/* The program's own ends, which may need their secrets. */
static void need_secret(void)
{
    attack_require(!looks_at_exit || nonzero_count(secret, MARKER_BYTES) > 0,
                   "the secret at exit");
}

__attribute__((destructor)) static void on_unload(void)
{
    need_secret();
}

static void end_by_exit(int number)
{
    (void)number;
    looks_at_exit = true;
    attack_require(atexit(need_secret) == 0, "atexit");
    exit(EXIT_CODE);
}

static void end_by_quick_exit(int number)
{
    (void)number;
    looks_at_exit = true;
    attack_require(at_quick_exit(need_secret) == 0, "at_quick_exit");
    quick_exit(EXIT_CODE);
}

static void end_by_raise(int number)
{
    (void)raise(number);
}

static void end_by_abort(int number)
{
    (void)number;
    abort();
}

static void end_by_fault(int number)
{
    (void)number;
    void *closed =
        mmap(NULL, view_page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)closed = 1;
}

__attribute__((noinline)) static unsigned descend(unsigned depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    return depth == UINT32_MAX ? 0U : descend(depth + 1) + (unsigned char)frame[0];
}

static void end_by_overflow(int number)
{
    (void)number;
    (void)descend(0);
}

static void leave(int number)
{
    (void)number;
    _exit(EXIT_CODE);
}

struct scenario {
    const char *name;
    void (*end)(int number);
    int number;              /* the signal; 0: none */
    void (*handler)(int);    /* the program's own, or NULL */
    securemem_access access; /* of the secret */
};

static const struct scenario scenarios[] = {
    {"exit", end_by_exit, 0, NULL, SECUREMEM_WRITE},
    {"quick_exit", end_by_quick_exit, 0, NULL, SECUREMEM_WRITE},
    {"a fault", end_by_fault, SIGSEGV, NULL, SECUREMEM_WRITE},
    {"a fault, a closed secret", end_by_fault, SIGSEGV, NULL, SECUREMEM_NONE},
    {"a fault, a handler that leaves", end_by_fault, SIGSEGV, leave, SECUREMEM_READ},
    {"a stack that overflows", end_by_overflow, SIGSEGV, NULL, SECUREMEM_WRITE},
    {"abort", end_by_abort, SIGABRT, NULL, SECUREMEM_WRITE},
    {"SIGBUS", end_by_raise, SIGBUS, NULL, SECUREMEM_WRITE},
    {"SIGILL", end_by_raise, SIGILL, NULL, SECUREMEM_WRITE},
    {"SIGFPE", end_by_raise, SIGFPE, NULL, SECUREMEM_WRITE},
    {"SIGSYS", end_by_raise, SIGSYS, NULL, SECUREMEM_WRITE},
    {"SIGTRAP", end_by_raise, SIGTRAP, NULL, SECUREMEM_WRITE},
    {"SIGTERM", end_by_raise, SIGTERM, NULL, SECUREMEM_WRITE},
    {"SIGINT", end_by_raise, SIGINT, NULL, SECUREMEM_NONE},
    {"SIGXCPU", end_by_raise, SIGXCPU, NULL, SECUREMEM_WRITE},
};

struct plan {
    const struct scenario *scenario;
    bool protects;
};

static void live_and_end(const void *argument)
{
    const struct plan *plan = argument;
    const struct scenario *scenario = plan->scenario;
    secret = securemem_alloc(MARKER_BYTES);
    attack_require(secret != NULL, "securemem_alloc");
    subject_tell(secret, MARKER_BYTES);
    subject_receive(secret, MARKER_BYTES);
    struct rlimit stack = {1 << 20, 1 << 20};
    attack_require(setrlimit(RLIMIT_STACK, &stack) == 0, "setrlimit");
    if (scenario->handler != NULL)
        attack_require(signal(scenario->number, scenario->handler) != SIG_ERR, "signal");
    attack_require(atexit(need_secret) == 0, "atexit");
    if (plan->protects)
        attack_require(
            securemem_wipe_on_exit(true) == 0 &&
                securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_FAULTS |
                                               SECUREMEM_SIGNALS_TERMINATION) == 0,
            "securemem_wipe_on");
    attack_require(securemem_set_access(secret, scenario->access) == 0, "access");
    scenario->end(scenario->number);
}

/* Every signal is for the subject, once it has started. Gives its wait status to be. */
static int run_to_end(struct subject *subject)
{
    int number = 0, status;
    unsigned long ending = 0;
    ptrace(PTRACE_SETOPTIONS, subject->pid, NULL,
           (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACEEXIT));
    do {
        ptrace(PTRACE_CONT, subject->pid, NULL, (void *)(long)number);
        if (waitpid(subject->pid, &status, 0) != subject->pid || !WIFSTOPPED(status))
            fail_msg("the subject ended without a stop: %#x", (unsigned)status);
        number = WSTOPSIG(status);
    } while (status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8));
    subject->stop = SIGTRAP;
    assert_int_equal(ptrace(PTRACE_GETEVENTMSG, subject->pid, NULL, &ending), 0);
    return (int)ending;
}

static struct scan end_and_search(const struct scenario *scenario, bool protects,
                                  size_t *told, int *status)
{
    static struct pieces pieces;
    unsigned char marker[MARKER_BYTES];
    struct subject subject;
    struct plan plan = {scenario, protects};
    if (!subject_start(&subject, true, live_and_end, &plan))
        SKIP("ptrace(2) is forbidden");
    marker_draw(marker);
    pieces_of(&pieces, marker, MARKER_BYTES);
    *told = pieces.count;
    subject_send(&subject, marker, MARKER_BYTES);
    *status = run_to_end(&subject);
    struct scan scan = scan_subject(&subject, &pieces);
    /* Not even SIGKILL ends this stop. */
    ptrace(PTRACE_CONT, subject.pid, NULL, NULL);
    if (waitpid(subject.pid, &subject.status, 0) != subject.pid)
        fail_msg("the subject was not there");
    subject.stop = 0;
    char words[512];
    subject_end(&subject, words, sizeof words);
    assert_int_equal(subject.status, *status);
    if (WIFEXITED(*status) && WEXITSTATUS(*status) != EXIT_CODE)
        fail_msg("%s: exit %d: %s", scenario->name, WEXITSTATUS(*status), words);
    return scan;
}

static void no_piece_of_a_secret_is_left_at_the_end(void **state)
{
    (void)state;
    if (!scan_is_known())
        SKIP("registers are not read on this architecture");
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        const struct scenario *scenario = &scenarios[i];
        size_t pieces;
        int control_status, status;
        struct scan control = end_and_search(scenario, false, &pieces, &control_status);
        struct scan scan = end_and_search(scenario, true, &pieces, &status);
        if (scan.elsewhere + scan.in_place + scan.registers > 0)
            print_error("%s: %s\n", scenario->name, scan.where);
        assert_int_equal(control.in_place, pieces);
        assert_int_equal(status, control_status);
        assert_int_equal(scan.in_place + scan.elsewhere + scan.registers, 0);
    }
    NOTE("%zu ends: all pieces without, none with", COUNT(scenarios));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_piece_of_a_secret_is_left_at_the_end),
    };
    return RUN_GROUP(tests);
}
