/* SPDX-License-Identifier: ISC */
/*
 * Attack: crash a process whose secrets may be dumped (no_dump off), and search its core.
 * Controls: the same without securemem_wipe_on_fatal_signal, which has all copies in it; and
 * without securemem_process_harden, which is what keeps the core from being written at all.
 */
#include <signal.h>
#include <sys/wait.h>

#include "attacks/corefile.h"
#include "attacks/guardian.h"
#include "attacks/subject.h"

struct plan {
    const char *directory;
    unsigned signals, flags; /* what is asked for */
};

static void crash(const void *argument)
{
    const struct plan *plan = argument;
    securemem_arena *dumped =
        securemem_arena_create(&(securemem_arena_options){.no_dump = SECUREMEM_OFF});
    attack_require(dumped != NULL, "securemem_arena_create");
    void *secret = securemem_arena_alloc(dumped, copies_bytes());
    attack_require(secret != NULL, "securemem_arena_alloc");
    subject_receive_copies(secret);
    corefile_allow(plan->directory);
    attack_require(securemem_wipe_on_fatal_signal(plan->signals) == 0,
                   "securemem_wipe_on_fatal_signal");
    if (securemem_process_harden(plan->flags, NULL) != 0)
        raise(SIGUSR1);
    char *closed =
        mmap(NULL, view_page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)closed = 1;
}

struct search {
    unsigned char marker[MARKER_BYTES];
    size_t copies;
};

static void search(void *context, const void *bytes, size_t length)
{
    struct search *search = context;
    search->copies += marker_count(search->marker, bytes, length);
}

struct found {
    size_t cores, copies;
    int status;
};

static struct found crash_and_search(unsigned signals, unsigned flags)
{
    char directory[] = "/tmp/securemem-crash-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct guardian guardian;
    guardian_start(&guardian, corefile_remove, directory);
    struct plan plan = {directory, signals, flags};
    struct subject subject;
    struct search looked = {.copies = 0};
    assert_true(subject_start(&subject, false, crash, &plan));
    marker_draw(looked.marker);
    subject_send_copies(&subject, looked.marker);
    subject_run(&subject);
    struct found found = {.status = subject.status};
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (!WIFSIGNALED(found.status))
        fail_msg("the subject did not crash: %s", words);
    found.cores = corefile_each(directory, search, &looked);
    found.copies = looked.copies;
    assert_int_equal(guardian_finish(&guardian), 0);
    return found;
}

static void a_crash_leaves_no_secret_in_its_core(void **state)
{
    (void)state;
    const char *reason = corefile_reason_for_none();
    if (reason != NULL)
        SKIP(reason);
    struct found control = crash_and_search(0, 0);
    if (control.cores == 0)
        SKIP("the kernel wrote no core into the working directory");
    struct found wiped = crash_and_search(SECUREMEM_SIGNALS_FAULTS, 0);
    NOTE("%zu of %u copies in the core without, %zu with a handler", control.copies,
         COPIES, wiped.copies);
    assert_int_equal(control.copies, COPIES);
    assert_int_equal(wiped.cores, 1);
    assert_int_equal(wiped.copies, 0);
    /* The same signal, and a core of it. */
    assert_true(WTERMSIG(control.status) == SIGSEGV && WCOREDUMP(control.status));
    assert_int_equal(wiped.status, control.status);
}

static void a_hardened_process_writes_no_core(void **state)
{
    (void)state;
    static const unsigned flags[] = {SECUREMEM_HARDEN_NO_CORE_DUMPS,
                                     SECUREMEM_HARDEN_NOT_DUMPABLE};
    const char *reason = corefile_reason_for_none();
    if (reason != NULL)
        SKIP(reason);
    /* Other flags are the control: they do not keep it from being written. */
    struct found control = crash_and_search(0, SECUREMEM_HARDEN_NO_NEW_PRIVS);
    if (control.cores == 0)
        SKIP("the kernel wrote no core into the working directory");
    for (size_t i = 0; i < COUNT(flags); i++) {
        struct found found = crash_and_search(0, flags[i]);
        assert_int_equal(WTERMSIG(found.status), SIGSEGV);
        assert_int_equal(found.cores, 0);
        assert_false(WCOREDUMP(found.status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_leaves_no_secret_in_its_core),
        cmocka_unit_test(a_hardened_process_writes_no_core),
    };
    return RUN_GROUP(tests);
}
