/* SPDX-License-Identifier: ISC */
/*
 * examples/agent while each call that it makes is refused in turn: of the system, of memory,
 * of the library and of libcrypto. It gives a failure or ends a connection, never half an
 * answer nor a wrong one; no key stays open, and no piece of one in memory; once the trouble
 * is over it serves as before, and at its end nothing is left.
 *
 *      test_agent_under_faults [all]      all: every allocation of libcrypto, each refusal
 *                                         also for good; minutes
 */
#include <securemem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults/agent/life.h"
#include "faults/agent/scripts.h"
#include "support/child.h"
#include "support/need.h"
#include "support/skip.h"

static const struct notary *notary;
static char folder[] = "/tmp/securemem-agent-XXXXXX";
static bool all;

/* libcrypto's allocations are most of all calls, and alike: of these, so many in between are
 * left out. */
#define STRIDE 23U

#define LIVES 5U

static void need_life(struct life *life)
{
    struct child_end end;
    child_run(life_run, life, &end); /* ends when nobody can write errors any more */
    if (end.exit_code != 0 || !life_is_clean(life))
        fail_msg("exit %d, signal %d, fault at %#lx, call %u (%s), refusal %u%s: %s",
                 end.exit_code, end.signal, (unsigned long)end.fault, life->plan.call,
                 faults->hit ? faults->hit_name : "not reached", life->plan.variant,
                 life->plan.onward ? ", onward" : "", end.errors);
}

static bool is_left_out(const struct fault_call *call, unsigned number)
{
    return !all && strcmp(call->name, "securemem_arena_alloc") == 0 &&
           number % STRIDE != 0;
}

struct count {
    unsigned points, trials, missed;
};

static void try_call(struct life *life, const struct fault_call *call,
                     struct count *count)
{
    for (unsigned variant = 0; variant < call->variants; variant++)
        /* Which refusal it is that goes on is the same to who retries. */
        for (unsigned onward = 0; onward < (variant == 0 || all ? 2 : 1); onward++) {
            life->plan.variant = variant;
            life->plan.onward = onward == 1;
            need_life(life);
            count->trials++;
            count->missed += !faults->hit;
        }
    count->points++;
}

/* Without a fault. When a program ends is not in the test's hands: the fewest of some lives. */
static unsigned count_calls(struct life *life, enum fault_side side,
                            struct fault_call calls[FAULT_CALLS_MOST])
{
    unsigned fewest = FAULT_CALLS_MOST;
    life->plan = (struct fault_plan){.side = FAULT_AGENT};
    for (unsigned i = 0; i < LIVES; i++) {
        need_life(life);
        if (faults->counts[side] >= fewest)
            continue;
        fewest = faults->counts[side];
        memcpy(calls, faults->calls[side], sizeof faults->calls[side]);
    }
    assert_true(fewest < FAULT_CALLS_MOST);
    return fewest;
}

static void try_all(enum life_kind kind, void (*script)(void))
{
    static struct fault_call calls[FAULT_CALLS_MOST];
    struct life life = {
        .notary = notary, .folder = folder, .kind = kind, .script = script};
    struct count count = {0};
    for (unsigned side = 0; side < FAULT_SIDES; side++) {
        unsigned made = count_calls(&life, side, calls);
        life.plan.side = side;
        for (unsigned call = 1; call <= made; call++) {
            life.plan.call = call;
            if (!is_left_out(&calls[call], call))
                try_call(&life, &calls[call], &count);
        }
    }
    printf("NOTE: %u calls of the agent, %u refusals\n", count.points, count.trials);
    assert_true(count.points > 30);
    if (count.missed > count.trials / 50)
        fail_msg("%u of the refusals came to no call", count.missed);
}

static void keys_are_added_used_and_removed_or_refused(void **state)
{
    (void)state;
    try_all(LIFE_HERE, script_keys);
}

static void a_lock_stays_shut_whatever_fails(void **state)
{
    (void)state;
    try_all(LIFE_HERE, script_lock);
}

static void no_signature_is_made_that_nobody_agreed_to(void **state)
{
    (void)state;
    try_all(LIFE_HERE, script_confirm);
}

static void messages_are_taken_whole_or_refused(void **state)
{
    (void)state;
    try_all(LIFE_HERE, script_traffic);
}

static void an_agent_starts_in_the_background_or_says_why_not(void **state)
{
    (void)state;
    try_all(LIFE_BEHIND, script_brief);
}

static void an_agent_starts_beside_a_command_or_says_why_not(void **state)
{
    (void)state;
    try_all(LIFE_BESIDE, script_brief);
}

/* Controls: what the checks look for is found where the agent does not do its part. */
static void need_found(struct life *life, const char *what)
{
    struct child_end end;
    child_run(life_run, life, &end);
    assert_int_equal(end.exit_code, 99);
    if (strstr(end.errors, what) == NULL)
        fail_msg("instead of '%s': %s", what, end.errors);
}

static void a_key_that_stays_open_or_unwiped_is_found(void **state)
{
    (void)state;
    struct life life = {.notary = notary,
                        .folder = folder,
                        .script = script_brief,
                        .plan = {.side = FAULT_AGENT},
                        .ignores_close = true};
    need_found(&life, "a key is open while nobody signs");
    life.ignores_close = false;
    life.ignores_wipe = true;
    need_found(&life, "rw-p");
}

static int make_all(void **state)
{
    (void)state;
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    notary = notary_start();
    return faults != MAP_FAILED && notary != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_all(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    all = argc > 1 && strcmp(argv[1], "all") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_stays_open_or_unwiped_is_found),
        cmocka_unit_test(keys_are_added_used_and_removed_or_refused),
        cmocka_unit_test(a_lock_stays_shut_whatever_fails),
        cmocka_unit_test(no_signature_is_made_that_nobody_agreed_to),
        cmocka_unit_test(messages_are_taken_whole_or_refused),
        cmocka_unit_test(an_agent_starts_in_the_background_or_says_why_not),
        cmocka_unit_test(an_agent_starts_beside_a_command_or_says_why_not),
    };
    return skip_status(cmocka_run_group_tests(tests, make_all, remove_all),
                       sizeof tests / sizeof *tests);
}
