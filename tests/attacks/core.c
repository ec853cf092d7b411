/* SPDX-License-Identifier: ISC */
/*
 * Attack: crash the process and search its core. Controls: malloc, static memory, the
 * stack, a mapping without access, and a secret whose arena has no_dump off.
 */
#include <signal.h>
#include <sys/wait.h>

#include "attacks/corefile.h"
#include "attacks/guardian.h"
#include "attacks/subject.h"

#define ORDINARY_PLACES 4U
#define ACCESSES        3U /* none, read, write */

struct plan {
    const char *directory;
    securemem_guard_kind kinds[2];
    size_t kinds_count;
};

static void receive_secret(securemem_arena *arena, securemem_access access)
{
    void *secret = securemem_arena_alloc(arena, copies_bytes());
    attack_require(secret != NULL, "securemem_arena_alloc");
    subject_receive_copies(secret);
    attack_require(securemem_set_access(secret, access) == 0, "securemem_set_access");
}

static void crash(const void *argument)
{
    const struct plan *plan = argument;
    static unsigned char in_data[MARKER_BYTES];
    unsigned char on_stack[MARKER_BYTES];
    unsigned char *in_heap = malloc(MARKER_BYTES);
    unsigned char *closed = mmap(NULL, view_page_size(), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    attack_require(in_heap != NULL && closed != MAP_FAILED, "memory");
    subject_receive(in_data, MARKER_BYTES);
    subject_receive(on_stack, MARKER_BYTES);
    subject_receive(in_heap, MARKER_BYTES);
    subject_receive(closed, MARKER_BYTES);
    attack_require(mprotect(closed, view_page_size(), PROT_NONE) == 0, "mprotect");

    securemem_arena *dumped =
        securemem_arena_create(&(securemem_arena_options){.no_dump = SECUREMEM_OFF});
    attack_require(dumped != NULL, "securemem_arena_create");
    receive_secret(dumped, SECUREMEM_NONE);
    for (size_t i = 0; i < plan->kinds_count; i++) {
        securemem_arena *arena = securemem_arena_create(
            &(securemem_arena_options){.guard_kind = plan->kinds[i]});
        attack_require(arena != NULL, "securemem_arena_create");
        for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++)
            receive_secret(arena, (securemem_access)access);
    }
    corefile_allow(plan->directory);
    subject_pause();
    (void)hidden(on_stack);
    abort();
}

struct found {
    size_t cores, ordinary, dumped, secret;
};

struct markers {
    unsigned char ordinary[MARKER_BYTES], dumped[MARKER_BYTES], secret[MARKER_BYTES];
};

struct search {
    const struct markers *markers;
    struct found *found;
};

static void search(void *context, const void *bytes, size_t length)
{
    const struct search *search = context;
    const struct markers *markers = search->markers;
    search->found->ordinary += marker_count(markers->ordinary, bytes, length);
    search->found->dumped += marker_count(markers->dumped, bytes, length);
    search->found->secret += marker_count(markers->secret, bytes, length);
}

static struct found crash_and_search(struct plan *plan, bool *dumped)
{
    struct markers markers;
    struct found found = {0};
    struct subject subject;
    assert_true(subject_start(&subject, false, crash, plan));
    marker_draw(markers.ordinary);
    marker_draw(markers.dumped);
    marker_draw(markers.secret);
    for (size_t i = 0; i < ORDINARY_PLACES; i++)
        subject_send(&subject, markers.ordinary, MARKER_BYTES);
    subject_send_copies(&subject, markers.dumped);
    for (size_t i = 0; i < ACCESSES * plan->kinds_count; i++)
        subject_send_copies(&subject, markers.secret);
    subject_run(&subject);
    int paused = subject.stop;
    if (paused == SIGSTOP)
        subject_run(&subject);
    *dumped = WIFSIGNALED(subject.status) && WTERMSIG(subject.status) == SIGABRT &&
              WCOREDUMP(subject.status);
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (paused != SIGSTOP)
        fail_msg("the subject did not come to its crash: %s", words);
    found.cores = corefile_each(plan->directory, search,
                                &(struct search){.markers = &markers, .found = &found});
    return found;
}

static void no_secret_is_in_a_core(void **state)
{
    (void)state;
    const char *reason = corefile_reason_for_none();
    if (reason != NULL)
        SKIP(reason);

    char directory[] = "/tmp/securemem-core-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct guardian guardian;
    guardian_start(&guardian, corefile_remove, directory);
    struct plan plan = {.directory = directory};
    plan.kinds_count = attack_guard_kinds(plan.kinds);
    bool dumped = false;
    struct found found = crash_and_search(&plan, &dumped);
    assert_int_equal(guardian_finish(&guardian), 0);
    if (!dumped || found.cores == 0)
        SKIP("the kernel wrote no core into the working directory");

    NOTE("%zu of %u copies in ordinary memory, %zu of %u in a secret with no_dump off, "
         "%zu of %zu in secrets",
         found.ordinary, ORDINARY_PLACES, found.dumped, COPIES, found.secret,
         ACCESSES * plan.kinds_count * COPIES);
    assert_int_equal(found.ordinary, ORDINARY_PLACES);
    assert_int_equal(found.dumped, COPIES);
    assert_int_equal(found.secret, 0);
    SAY_WHICH_KINDS(plan.kinds_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_secret_is_in_a_core),
    };
    return RUN_GROUP(tests);
}
