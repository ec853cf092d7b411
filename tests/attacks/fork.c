/* SPDX-License-Identifier: ISC */
/* Attack: read a secret in, and out of, a forked child. Control: malloc. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/subject.h"

/* What the parent has when it forks: one secret, and the same in ordinary memory. */
struct held {
    securemem_arena *arena;
    unsigned char *secret, *block;
    unsigned char marker[MARKER_BYTES];
};

static struct held hold(securemem_guard_kind kind, securemem_fork policy,
                        securemem_access access)
{
    struct held held = {.arena = securemem_arena_create(&(securemem_arena_options){
                            .guard_kind = kind, .fork = policy})};
    attack_require(held.arena != NULL, "securemem_arena_create");
    held.secret = securemem_arena_alloc(held.arena, copies_bytes());
    held.block = malloc(copies_bytes());
    attack_require(held.secret != NULL && held.block != NULL, "memory");
    marker_draw(held.marker);
    for (size_t i = 0; i < COPIES; i++) {
        memcpy(copy_at(held.secret, i), held.marker, MARKER_BYTES);
        memcpy(copy_at(held.block, i), held.marker, MARKER_BYTES);
    }
    attack_require(securemem_set_access(held.secret, access) == 0, "access");
    return held;
}

static void let_go(struct held *held)
{
    /* The parent's own copies were there all the time. */
    assert_int_equal(securemem_set_access(held->secret, SECUREMEM_READ), 0);
    assert_int_equal(marker_count(held->marker, held->secret, copies_bytes()), COPIES);
    securemem_arena_destroy(held->arena);
    free(held->block);
}

/* In the child: the control has to be there, then the copies of the secret; or 99. */
static int copies_in_child(void *argument)
{
    const struct held *held = argument;
    if (marker_count(held->marker, hidden(held->block), copies_bytes()) != COPIES)
        return 99;
    if (securemem_set_access(held->secret, SECUREMEM_READ) != 0)
        return 98;
    size_t copies = marker_count(held->marker, hidden(held->secret), copies_bytes());
    if (copies == 0 && nonzero_count(hidden(held->secret), copies_bytes()) != 0)
        return 97;
    return (int)copies;
}

static const securemem_access accesses[] = {SECUREMEM_NONE, SECUREMEM_READ,
                                            SECUREMEM_WRITE};

static void a_child_reads_zeros_with_wipe_and_the_secret_with_keep(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < count * COUNT(accesses); i++) {
        struct child_end end;
        struct held held =
            hold(kinds[i % count], SECUREMEM_FORK_WIPE, accesses[i / count]);
        child_run(copies_in_child, &held, &end);
        assert_int_equal(end.exit_code, 0);
        let_go(&held);
        held = hold(kinds[i % count], SECUREMEM_FORK_KEEP, accesses[i / count]);
        child_run(copies_in_child, &held, &end);
        assert_int_equal(end.exit_code, COPIES);
        let_go(&held);
    }
    SAY_WHICH_KINDS(count);
}

static int touch_block_then_secret(void *argument)
{
    const struct held *held = argument;
    if (marker_count(held->marker, hidden(held->block), copies_bytes()) != COPIES)
        return 99;
    (void)*(volatile unsigned char *)hidden(copy_at(held->secret, 0));
    return 0;
}

static void a_child_faults_at_a_dropped_secret(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < count; i++) {
        struct child_end end;
        struct held held = hold(kinds[i], SECUREMEM_FORK_DROP, SECUREMEM_WRITE);
        child_run(touch_block_then_secret, &held, &end);
        assert_int_equal(end.signal, SIGSEGV);
        assert_int_equal(end.fault, (uintptr_t)copy_at(held.secret, 0));
        let_go(&held);
    }
    SAY_WHICH_KINDS(count);
}

/* Locked in the child by its own smaps; and the parent's plain mlock is not. */
static int is_locked_in_child(void *argument)
{
    const struct held *held = argument;
    struct view view;
    if (!view_at(held->block, &view) || view_has(&view, "lo"))
        return 99;
    if (!view_at(held->secret, &view) || !view_has(&view, "lo"))
        return 1;
    /* Pages not yet copied are the parent's too, and count by half. */
    return view.locked_kb * 2 < copies_bytes() / 1024 ? 2 : 0;
}

static void a_kept_secret_is_locked_in_the_child(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < count * COUNT(accesses); i++) {
        struct child_end end;
        struct held held =
            hold(kinds[i % count], SECUREMEM_FORK_KEEP, accesses[i / count]);
        struct view view;
        assert_int_equal(mlock(held.block, copies_bytes()), 0);
        assert_true(view_at(held.block, &view) && view_has(&view, "lo"));
        child_run(is_locked_in_child, &held, &end);
        munlock(held.block, copies_bytes());
        assert_int_equal(end.exit_code, 0);
        let_go(&held);
    }
    SAY_WHICH_KINDS(count);
}

static void stay(const void *argument)
{
    (void)argument;
    subject_pause();
}

/* The copies at address in another process, -1 where it has no such pages. */
static int copies_by_vm_readv(pid_t pid, const struct held *held, const void *address)
{
    char *bytes = malloc(copies_bytes());
    assert_non_null(bytes);
    struct iovec to = {bytes, copies_bytes()},
                 from = {hidden((void *)(uintptr_t)address), copies_bytes()};
    ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);
    int result = got < 0 && errno == EFAULT ? -1
                 : got < 0                  ? -2
                           : (int)marker_count(held->marker, bytes, (size_t)got);
    free(bytes);
    return result;
}

static void nobody_reads_the_secret_out_of_the_child(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    /* By policy: what process_vm_readv gives, and /proc/PID/mem. */
    static const int readv[] = {0, -1, COPIES};
    static const size_t peek[] = {0, 0, COPIES};
    for (size_t i = 0; i < count * 3; i++) {
        securemem_fork policy = (securemem_fork)(i / count);
        struct held held = hold(kinds[i % count], policy, SECUREMEM_WRITE);
        struct subject subject;
        assert_true(subject_start(&subject, false, stay, NULL));
        int control = copies_by_vm_readv(subject.pid, &held, held.block);
        int secret = copies_by_vm_readv(subject.pid, &held, held.secret);
        size_t peeked_control =
            subject_copies(&subject, held.marker, held.block, copies_bytes());
        size_t peeked =
            subject_copies(&subject, held.marker, held.secret, copies_bytes());
        subject_end(&subject, NULL, 0);
        if (control == -2)
            SKIP("process_vm_readv(2) is not allowed here");
        assert_int_equal(control, COPIES);
        assert_int_equal(secret, readv[policy]);
        assert_int_equal(peeked_control, COPIES);
        assert_int_equal(peeked, peek[policy]);
        let_go(&held);
    }
    SAY_WHICH_KINDS(count);
}

static pid_t raw_clone(void)
{
#if defined(__s390__) || defined(__s390x__)
    return (pid_t)syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);
#else
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

struct raw {
    securemem_guard_kind kind;
    securemem_fork policy;
    int (*body)(void *argument);
    struct held held;
};

#define ENDED_BY_SIGNAL 95

/* Makes the secret, and runs body in a child of clone(2): no fork handler knows of it. */
static int clone_and_run(void *argument)
{
    struct raw *raw = argument;
    raw->held = hold(raw->kind, raw->policy, SECUREMEM_WRITE);
    pid_t pid = raw_clone();
    if (pid == 0)
        _exit(raw->body(&raw->held));
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 96;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ENDED_BY_SIGNAL;
}

static struct child_end cloned(struct raw *raw, securemem_fork policy,
                               int (*body)(void *argument))
{
    struct child_end end;
    raw->policy = policy;
    raw->body = body;
    child_run(clone_and_run, raw, &end);
    assert_string_equal(end.errors, "");
    return end;
}

/* Reads before any call of the library. */
static int copies_without_library(void *argument)
{
    const struct held *held = argument;
    if (marker_count(held->marker, hidden(held->block), copies_bytes()) != COPIES)
        return 99;
    size_t copies = marker_count(held->marker, hidden(held->secret), copies_bytes());
    if (copies == 0 && nonzero_count(hidden(held->secret), copies_bytes()) != 0)
        return 97;
    return (int)copies;
}

/* The guard on either side, after the child's first call of the library. */
static int touch_guards_after_a_call(void *argument)
{
    const struct held *held = argument;
    if (securemem_size(held->secret) != copies_bytes() ||
        nonzero_count(hidden(held->secret), copies_bytes()) != 0 ||
        view_readable(held->secret - 1))
        return 1;
    struct view view;
    if (!view_at(held->secret, &view) || !view_has(&view, "lo"))
        return 2;
    (void)*(volatile unsigned char *)hidden(held->secret + copies_bytes());
    return 3;
}

static void
a_raw_clone_reads_zeros_and_its_first_call_renews_lock_and_guards(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    struct raw *raw = mmap(NULL, sizeof *raw, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(raw != MAP_FAILED);
    for (size_t i = 0; i < count; i++) {
        raw->kind = kinds[i];
        /* The control of the clone itself: where the secret is to be kept, it is. */
        struct child_end end = cloned(raw, SECUREMEM_FORK_KEEP, copies_without_library);
        assert_int_equal(end.exit_code, COPIES);
        end = cloned(raw, SECUREMEM_FORK_WIPE, copies_without_library);
        assert_int_equal(end.exit_code, 0);

        end = cloned(raw, SECUREMEM_FORK_WIPE, touch_guards_after_a_call);
        assert_int_equal(end.exit_code, ENDED_BY_SIGNAL);
        assert_int_equal(end.fault, (uintptr_t)raw->held.secret + copies_bytes());

        end = cloned(raw, SECUREMEM_FORK_DROP, touch_block_then_secret);
        assert_int_equal(end.exit_code, ENDED_BY_SIGNAL);
        assert_int_equal(end.fault, (uintptr_t)copy_at(raw->held.secret, 0));
    }
    munmap(raw, sizeof *raw);
    SAY_WHICH_KINDS(count);
}

static int touch_byte(void *argument)
{
    (void)*(volatile unsigned char *)argument;
    return 0;
}

static void guards_hold_in_a_forked_child(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < 2 * count; i++) {
        securemem_fork policy =
            i / count == 0 ? SECUREMEM_FORK_WIPE : SECUREMEM_FORK_KEEP;
        struct held held = hold(kinds[i % count], policy, SECUREMEM_WRITE);
        struct child_end end;
        child_run(touch_byte, held.block + copies_bytes() - 1, &end);
        assert_int_equal(end.exit_code, 0);
        child_run(touch_byte, held.secret + copies_bytes() - 1, &end);
        assert_int_equal(end.exit_code, 0);
        unsigned char *const outside[] = {held.secret + copies_bytes(), held.secret - 1};
        for (size_t j = 0; j < COUNT(outside); j++) {
            child_run(touch_byte, outside[j], &end);
            assert_int_equal(end.signal, SIGSEGV);
            assert_int_equal(end.fault, (uintptr_t)outside[j]);
        }
        let_go(&held);
    }
    SAY_WHICH_KINDS(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_reads_zeros_with_wipe_and_the_secret_with_keep),
        cmocka_unit_test(a_child_faults_at_a_dropped_secret),
        cmocka_unit_test(a_kept_secret_is_locked_in_the_child),
        cmocka_unit_test(nobody_reads_the_secret_out_of_the_child),
        cmocka_unit_test(
            a_raw_clone_reads_zeros_and_its_first_call_renews_lock_and_guards),
        cmocka_unit_test(guards_hold_in_a_forked_child),
    };
    return RUN_GROUP(tests);
}
