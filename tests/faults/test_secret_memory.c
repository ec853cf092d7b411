/* SPDX-License-Identifier: ISC */
/*
 * Secret memory while every call to the kernel fails in turn: what is handed out is of it,
 * or, where it is only preferred, the report says that it is not; a refusal says why,
 * leaves nothing behind and does not last.
 */
#include <errno.h>
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faults/trials.h"
#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define SYSCALL_SECRET 447
#define SIZE           200
#define ELDERS         5

static struct fault_plan plan; /* of this trial */
static securemem_arena_options options;
static securemem_arena *arena;
static unsigned char *elders[ELDERS];

/* Locked, not dumped, not inherited, between guards; and the report says what smaps says. */
static void need_protected(const unsigned char *secret, unsigned char value)
{
    for (size_t i = 0; i < SIZE; i++)
        NEED(secret[i] == value);
    struct smaps_entry entry;
    smaps_read();
    NEED(smaps_range(secret, SIZE, &entry));
    NEED(entry.locked && entry.not_dumped && entry.not_forked);
    securemem_protection says;
    NEED(securemem_protection(secret, &says) == 0);
    NEED(says.lock.holds && says.guards.holds);
    if (options.secret_memory == SECUREMEM_REQUIRED)
        NEED(says.witness == SECUREMEM_WITNESS_CALLS || says.secret_memory.holds);
    else
        NEED(says.secret_memory.holds || says.secret_memory.refused != 0);
}

static void need_refusal(int code)
{
    NEED(code == ENOMEM || code == EPERM || code == ENOTSUP || code == EAGAIN);
    NEED(securemem_last_error()->code == code);
    NEED(strlen(securemem_last_error()->message) > 20);
}

static void need_elders(void)
{
    for (size_t i = 0; i < ELDERS; i++)
        if (elders[i] != NULL)
            need_protected(elders[i], 0x3c);
}

static unsigned char *make(void)
{
    unsigned char *secret = securemem_arena_alloc(arena, SIZE);
    if (secret != NULL)
        memset(secret, 0x3c, SIZE);
    return secret;
}

static int alloc_one(void)
{
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = make();
    int code = errno;
    fault_disarm();
    if (secret == NULL)
        need_refusal(code);
    else
        need_protected(secret, 0x3c);
    need_elders();
    unsigned char *later = make(); /* a refusal does not last */
    NEED(later != NULL);
    need_protected(later, 0x3c);
    securemem_free(later);
    securemem_free(secret);
    return 0;
}

static int free_one(void)
{
    unsigned char *freed = elders[2];
    elders[2] = NULL;
    fault_arm(&plan);
    errno = 0;
    securemem_free(freed);
    NEED(errno == 0);
    fault_disarm();
    need_elders();
    unsigned char *later = make();
    NEED(later != NULL);
    need_protected(later, 0x3c);
    securemem_free(later);
    return 0;
}

static int trim(void)
{
    for (size_t i = 0; i < ELDERS; i += 2) {
        securemem_free(elders[i]);
        elders[i] = NULL;
    }
    fault_arm(&plan);
    int result = securemem_arena_trim(arena);
    fault_disarm();
    if (result != 0)
        need_refusal(-result);
    need_elders();
    NEED(securemem_arena_trim(arena) == 0);
    unsigned char *later = make();
    NEED(later != NULL);
    need_protected(later, 0x3c);
    securemem_free(later);
    return 0;
}

struct act {
    const char *name;
    int (*act)(void);
    bool has_elders, keeps_idle;
};

static const struct act acts[] = {
    {"the first allocation", alloc_one, false, false},
    {"an allocation", alloc_one, true, false},
    {"a free", free_one, true, false},
    {"a trim", trim, true, true},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
    securemem_policy secret_memory;
    securemem_placement placement;
};

static int try_one(void *argument)
{
    const struct trial *trial = argument;
    plan = *trial->plan;
    options = (securemem_arena_options){.secret_memory = trial->secret_memory,
                                        .placement = trial->placement,
                                        .fork = SECUREMEM_FORK_DROP,
                                        .idle = trial->act->keeps_idle ? SIZE_MAX : 0};
    size_t descriptors = view_descriptors(), locked = view_locked_bytes();
    arena = securemem_arena_create(&options);
    NEED(arena != NULL);
    for (size_t i = 0; i < ELDERS && trial->act->has_elders; i++)
        NEED((elders[i] = make()) != NULL);
    int result = trial->act->act();
    securemem_arena_destroy(arena);
    NEED(view_descriptors() == descriptors);
    /* What was never handed out stays, zeros, where both ways of taking it back fail. */
    NEED(plan.then == FAULT_UNMAP || view_locked_bytes() == locked);
    return result;
}

static void try_all(struct trial trial)
{
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = true};
    snprintf(trials.name, sizeof trials.name, "%s, secret memory %d, placement %d",
             trial.act->name, trial.secret_memory, trial.placement);
    trial.plan = trials_plan();
    assert_true(trials_run(&trials));
}

/* An emulator pretends to the lock, or the machine is short of pages: nothing is handed out. */
static int is_pretended(void *argument)
{
    fault_use(argument);
    options = (securemem_arena_options){.secret_memory = SECUREMEM_REQUIRED,
                                        .fork = SECUREMEM_FORK_DROP};
    arena = securemem_arena_create(&options);
    NEED(arena != NULL);
    const struct {
        enum fault_function function;
        int code;
    } lies[] = {{FAULT_IS_LOCKED, ENOTSUP}, {FAULT_IS_READABLE, ENOMEM}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        plan = (struct fault_plan){.function = lies[i].function,
                                   .call = 1,
                                   .onward = true,
                                   .then = FAULT_FUNCTIONS};
        fault_arm(&plan);
        NEED(make() == NULL && errno == lies[i].code);
        fault_disarm();
        NEED(securemem_last_error()->code == lies[i].code);
    }
    return 0;
}

static void secret_memory_that_is_pretended_is_refused(void **state)
{
    (void)state;
    long descriptor = syscall(SYSCALL_SECRET, 0);
    if (descriptor < 0)
        SKIP("this kernel has no memfd_secret(2), or refuses it");
    close((int)descriptor);
    bool skips = child_skips(is_pretended, trials_state());
    assert_false(skips);
}

static void secret_memory_under_every_fault_is_secret_memory_or_none(void **state)
{
    (void)state;
    long descriptor = syscall(SYSCALL_SECRET, 0);
    if (descriptor < 0)
        SKIP("this kernel has no memfd_secret(2), or refuses it");
    close((int)descriptor);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        for (int policy = SECUREMEM_REQUIRED; policy <= SECUREMEM_PREFERRED; policy++)
            for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
                try_all((struct trial){.act = &acts[i],
                                       .secret_memory = (securemem_policy)policy,
                                       .placement = (securemem_placement)p});
    trials_end(500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_memory_that_is_pretended_is_refused),
        cmocka_unit_test(secret_memory_under_every_fault_is_secret_memory_or_none),
    };
    return RUN_GROUP(tests);
}
