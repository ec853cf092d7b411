/* SPDX-License-Identifier: ISC */
/* Sandboxes that refuse system calls, as container runtimes and systemd set them up. */
#include <errno.h>
#include <pthread.h>
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "support/need.h"
#include "support/seccomp.h"
#include "support/smaps.h"
#include "support/view.h"

#define SIZE                 100
#define SYS_NUMBER_SECRET    447
#define SYS_NUMBER_MSEAL     462
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_WIPEONFORK    18

struct refusal {
    long number;
    unsigned third; /* 0: whatever the third argument */
    int error;
};

static void refuse(const struct refusal *refusal)
{
    bool done =
        refusal->third == 0
            ? seccomp_answer(refusal->number, refusal->error)
            : seccomp_answer_third(refusal->number, refusal->third, refusal->error);
    if (!done)
        _exit(SKIP_EXIT);
}

/* Every protection holds, by smaps, by probe and by the library's own report. */
static void need_protected(unsigned char *secret)
{
    securemem_protection says;
    smaps_read();
    const struct smaps_entry *entry = smaps_at(secret);
    uintptr_t page = view_page_size(), first = (uintptr_t)secret / page * page;
    NEED(entry != NULL && entry->locked && entry->not_dumped && entry->wiped);
    NEED(!entry->mergeable);
    NEED(!view_readable((void *)(first - 1)) && !view_readable((void *)(first + page)));
    NEED(securemem_protection(secret, &says) == 0);
    NEED(says.lock.holds && says.guards.holds && says.no_dump.holds);
    NEED(says.fork_safety.holds && says.no_merge.holds);
}

static int stay_protected(void *argument)
{
    refuse(argument);
    for (int i = 0; i < 20; i++) {
        unsigned char *secret = securemem_alloc(SIZE);
        NEED(secret != NULL);
        memset(secret, 1, SIZE);
        need_protected(secret);
        if (i % 3 == 0)
            securemem_free(secret);
    }
    securemem_arena *arena = securemem_arena_create(NULL);
    NEED(arena != NULL && securemem_arena_reserve(arena, 3 * view_page_size()) == 0);
    need_protected(securemem_arena_alloc(arena, SIZE));
    securemem_arena_destroy(arena);
    return 0;
}

static void calls_that_old_sandboxes_refuse_are_not_needed(void **state)
{
    (void)state;
    const long numbers[] = {SYS_mlock2, SYS_NUMBER_SECRET, SYS_pkey_alloc,
                            SYS_NUMBER_MSEAL, SYS_process_madvise};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int sandbox = 0; sandbox < 2; sandbox++) {
            struct refusal refusal = {.number = numbers[i],
                                      .error = sandbox ? EPERM : ENOSYS};
            if (child_skips(stay_protected, &refusal))
                SKIP("this kernel has no seccomp filters");
        }
}

static void without_guard_regions_guards_are_prot_none(void **state)
{
    (void)state;
    const int errors[] = {EPERM, ENOSYS, EINVAL};
    for (size_t i = 0; i < 3; i++) {
        struct refusal refusal = {SYS_madvise, ADVICE_GUARD_INSTALL, errors[i]};
        if (child_skips(stay_protected, &refusal))
            SKIP("this kernel has no seccomp filters");
    }
}

/* With nothing else to fall back on. */
static int have_guard_regions(void *argument)
{
    refuse(argument);
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_REGION});
    NEED(arena != NULL);
    for (int i = 0; i < 20; i++)
        need_protected(securemem_arena_alloc(arena, SIZE));
    securemem_arena_destroy(arena);
    return 0;
}

static void
guard_regions_need_no_call_for_many_and_believe_none_that_pretends(void **state)
{
    (void)state;
    const int errors[] = {0, EPERM, ENOSYS, EINVAL, EBADF};
    if (!view_guard_regions_exist())
        SKIP("this kernel has no guard regions (Linux 6.13)");
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct refusal refusal = {.number = SYS_process_madvise, .error = errors[i]};
        if (child_skips(have_guard_regions, &refusal))
            SKIP("this kernel has no seccomp filters");
    }
}

/* Where guards of the other kind are not to be had. */
static int do_without_guards(void *argument)
{
    const struct refusal *refusal = argument;
    refuse(refusal);
    int expected = refusal->error == EPERM ? EPERM : ENOTSUP;
    securemem_arena_options options = {.guard_kind = SECUREMEM_GUARDS_REGION};
    securemem_arena *arena = securemem_arena_create(&options);
    NEED(arena != NULL && securemem_arena_alloc(arena, SIZE) == NULL);
    NEED(securemem_last_error()->kernel_code == refusal->error);
    NEED(view_locked_bytes() == 0);

    options.guards = SECUREMEM_PREFERRED;
    arena = securemem_arena_create(&options);
    size_t reserved = 10 * view_page_size();
    NEED(arena != NULL && securemem_arena_reserve(arena, reserved) == 0);
    NEED(view_locked_bytes() == reserved);
    for (int i = 0; i < 20; i++) {
        unsigned char *secret = securemem_arena_alloc(arena, SIZE);
        securemem_protection says;
        NEED(secret != NULL && securemem_protection(secret, &says) == 0);
        NEED(!says.guards.holds && says.guards.refused == expected);
        NEED(says.lock.holds && says.no_dump.holds && says.fork_safety.holds);
        smaps_read();
        NEED(smaps_at(secret)->locked && smaps_at(secret)->wiped);
        memset(secret, 1, SIZE);
        NEED(i >= 10 || view_locked_bytes() == reserved);
    }
    NEED(securemem_arena_check(arena) == 0);
    securemem_arena_destroy(arena);
    return 0;
}

static void guards_that_are_preferred_and_refused_are_reported_missing(void **state)
{
    (void)state;
    const int errors[] = {EPERM, EINVAL};
    for (size_t i = 0; i < 2; i++) {
        struct refusal refusal = {SYS_madvise, ADVICE_GUARD_INSTALL, errors[i]};
        if (child_skips(do_without_guards, &refusal))
            SKIP("this kernel has no seccomp filters");
    }
}

/* A filter with a list of known advice refuses the one that tells emulators. */
static void a_sandbox_that_refuses_unknown_advice_is_no_emulator(void **state)
{
    (void)state;
    const int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        struct refusal refusal = {SYS_madvise, (unsigned)-1, errors[i]};
        if (child_skips(stay_protected, &refusal))
            SKIP("this kernel has no seccomp filters");
    }
}

static int refuse_locks(void *argument)
{
    const struct refusal *refusal = argument;
    struct refusal other = {.number = SYS_mlock2, .error = refusal->error};
    refuse(refusal);
    refuse(&other);
    int expected = refusal->error == EPERM ? EPERM : ENOTSUP;
    NEED(securemem_alloc(SIZE) == NULL && errno == expected);
    const securemem_error *error = securemem_last_error();
    NEED(error->code == expected && error->kernel_code == refusal->error);
    NEED(strncmp(error->operation, "mlock", 5) == 0);
    NEED(strstr(error->message, "sandbox") != NULL);
    NEED(view_locked_bytes() == 0);

    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.lock = SECUREMEM_PREFERRED});
    NEED(arena != NULL);
    unsigned char *secret = securemem_arena_alloc(arena, SIZE);
    securemem_protection says;
    NEED(secret != NULL && securemem_protection(secret, &says) == 0);
    NEED(!says.lock.holds && says.lock.refused == expected);
    NEED(says.guards.holds && says.no_dump.holds && says.fork_safety.holds);
    smaps_read();
    NEED(!smaps_at(secret)->locked && smaps_at(secret)->not_dumped);
    return 0;
}

static void refused_locks_are_an_error_that_names_the_sandbox(void **state)
{
    (void)state;
    const int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        struct refusal refusal = {.number = SYS_mlock, .error = errors[i]};
        if (child_skips(refuse_locks, &refusal))
            SKIP("this kernel has no seccomp filters");
    }
}

/* systemd's group @memlock: a filter that refuses locking refuses unlocking as well. */
static int refuse_the_group(void *argument)
{
    struct refusal unlock = {.number = SYS_munlock, .error = EPERM};
    refuse(&unlock);
    return refuse_locks(argument);
}

static void with_all_lock_calls_refused_a_preferred_lock_is_missing(void **state)
{
    (void)state;
    struct refusal refusal = {.number = SYS_mlock, .error = EPERM};
    if (child_skips(refuse_the_group, &refusal))
        SKIP("this kernel has no seccomp filters");
}

static int believe_no_lock(void *argument)
{
    (void)argument;
    struct refusal one = {.number = SYS_mlock}, other = {.number = SYS_mlock2};
    refuse(&one);
    refuse(&other);
    NEED(mlock(&one, 1) == 0 && view_locked_bytes() == 0); /* it pretends */
    NEED(securemem_alloc(SIZE) == NULL);
    NEED(errno == ENOTSUP && securemem_last_error()->code == ENOTSUP);
    NEED(securemem_last_error()->kernel_code == 0);
    NEED(strstr(securemem_last_error()->message, "sandbox") != NULL);
    return 0;
}

static void a_lock_that_is_only_pretended_is_found_out(void **state)
{
    (void)state;
    if (child_skips(believe_no_lock, NULL))
        SKIP("this kernel has no seccomp filters");
}

static int refuse_wipe_on_fork(void *argument)
{
    const struct refusal *refusal = argument;
    refuse(refusal);
    int expected = refusal->error == EPERM ? EPERM : ENOTSUP;
    NEED(securemem_alloc(SIZE) == NULL && errno == expected);
    NEED(strstr(securemem_last_error()->operation, "WIPEONFORK") != NULL);
    NEED(view_locked_bytes() == 0);
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.fork_safety = SECUREMEM_PREFERRED});
    unsigned char *secret = arena == NULL ? NULL : securemem_arena_alloc(arena, SIZE);
    securemem_protection says;
    NEED(secret != NULL && securemem_protection(secret, &says) == 0);
    NEED(!says.fork_safety.holds && says.fork_safety.refused == expected);
    NEED(says.lock.holds && says.guards.holds && says.no_dump.holds);
    smaps_read();
    NEED(!smaps_at(secret)->wiped && smaps_at(secret)->locked);
    return 0;
}

static void without_wipe_on_fork_a_secret_is_refused_or_reported(void **state)
{
    (void)state;
    const int errors[] = {EPERM, EINVAL};
    for (size_t i = 0; i < 2; i++) {
        struct refusal refusal = {SYS_madvise, ADVICE_WIPEONFORK, errors[i]};
        if (child_skips(refuse_wipe_on_fork, &refusal))
            SKIP("this kernel has no seccomp filters");
    }
}

/* The sandbox comes when secrets are there: a closed one can be neither opened nor wiped. */
static int refuse_mprotect(void *argument)
{
    unsigned char *open = securemem_alloc(SIZE), *closed = securemem_alloc(SIZE);
    unsigned char bytes[SIZE];
    NEED(open != NULL && closed != NULL);
    memset(open, 'o', SIZE);
    memset(closed, 'c', SIZE);
    NEED(securemem_set_access(closed, SECUREMEM_NONE) == 0);
    refuse(argument);

    NEED(securemem_set_access(open, SECUREMEM_NONE) == -EPERM);
    NEED(securemem_last_error()->code == EPERM && open[0] == 'o');
    NEED(securemem_open(closed, SECUREMEM_READ) == -EPERM);
    NEED(strstr(securemem_last_error()->message, "sandbox") != NULL);
    (void)securemem_size(NULL); /* another record, which the refusal replaces */
    errno = 12345;
    securemem_free(closed);
    NEED(errno == 12345 && securemem_last_error()->code == EPERM);
    smaps_read();
    NEED(smaps_at(closed) != NULL && smaps_at(closed)->locked);
    NEED(!view_readable(closed) && smaps_bytes(closed, bytes, SIZE) && bytes[0] == 'c');
    NEED(securemem_wipe_all() >= 1);
    NEED(securemem_arena_trim(securemem_default_arena()) == -EPERM);
    securemem_free(open);
    NEED(!smaps_bytes(open, bytes, SIZE) || bytes[0] == 0);
    smaps_read();
    NEED(smaps_at(closed)->locked && !view_readable(closed));
    return 0;
}

static void with_mprotect_refused_a_closed_secret_is_held_locked(void **state)
{
    (void)state;
    struct refusal refusal = {.number = SYS_mprotect, .error = EPERM};
    if (child_skips(refuse_mprotect, &refusal))
        SKIP("this kernel has no seccomp filters");
}

static struct refusal no_mprotect = {.number = SYS_mprotect, .error = EPERM};

static void *destroy_in_a_sandbox(void *arena)
{
    refuse(&no_mprotect);
    securemem_arena_destroy(arena);
    return NULL;
}

/* The sandbox is one thread's; another arena is made outside of it. */
static int destroy_what_cannot_be_wiped(void *argument)
{
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.idle = SIZE_MAX});
    unsigned char *closed = securemem_arena_alloc(arena, SIZE), bytes[SIZE];
    void *others[20];
    for (int i = 0; i < 20; i++)
        others[i] = securemem_arena_alloc(arena, SIZE);
    for (int i = 0; i < 20; i++)
        securemem_free(others[i]);
    NEED(closed != NULL);
    memset(closed, 'c', SIZE);
    NEED(securemem_set_access(closed, SECUREMEM_NONE) == 0);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, destroy_in_a_sandbox, arena) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    smaps_read();
    NEED(smaps_at(closed)->locked && smaps_bytes(closed, bytes, SIZE) && bytes[0] == 'c');

    securemem_arena *next = securemem_arena_create(NULL);
    NEED(next != NULL);
    smaps_read();
    NEED(smaps_at(closed) == NULL);
    NEED(view_locked_bytes() == 0);
    (void)argument;
    return 0;
}

static void what_destroy_could_not_wipe_is_wiped_when_an_arena_is_made(void **state)
{
    (void)state;
    if (child_skips(destroy_what_cannot_be_wiped, NULL))
        SKIP("this kernel has no seccomp filters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_old_sandboxes_refuse_are_not_needed),
        cmocka_unit_test(without_guard_regions_guards_are_prot_none),
        cmocka_unit_test(
            guard_regions_need_no_call_for_many_and_believe_none_that_pretends),
        cmocka_unit_test(guards_that_are_preferred_and_refused_are_reported_missing),
        cmocka_unit_test(a_sandbox_that_refuses_unknown_advice_is_no_emulator),
        cmocka_unit_test(refused_locks_are_an_error_that_names_the_sandbox),
        cmocka_unit_test(with_all_lock_calls_refused_a_preferred_lock_is_missing),
        cmocka_unit_test(a_lock_that_is_only_pretended_is_found_out),
        cmocka_unit_test(without_wipe_on_fork_a_secret_is_refused_or_reported),
        cmocka_unit_test(with_mprotect_refused_a_closed_secret_is_held_locked),
        cmocka_unit_test(what_destroy_could_not_wipe_is_wiped_when_an_arena_is_made),
    };
    return RUN_GROUP(tests);
}
