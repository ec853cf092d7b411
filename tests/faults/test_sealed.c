/* SPDX-License-Identifier: ISC */
/*
 * Sealed secrets while every call to the kernel fails in turn: what was sealed before
 * stays what it is, what is handed out is protected, a refusal says why and leaves nothing
 * behind, and does not last.
 */
#include <errno.h>
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/trials.h"
#include "kernel/kernel.h"
#include "sealed/box.h"
#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define BYTES 40

/* What the arena of opened secrets keeps, and a guard of each. */
#define IDLE_PAGES 8

static struct fault_plan plan; /* of this trial */
static unsigned class;
static securemem_sealed *elder; /* there before, where the act has one */
static unsigned char was[BYTES], now[BYTES], into[BYTES];

static void need_sealed(securemem_sealed *sealed, const unsigned char *wanted)
{
    NEED(securemem_unseal_into(sealed, into, BYTES) == 0);
    NEED(memcmp(into, wanted, BYTES) == 0);
}

/* A refusal, of the set that the header lists, with its record. */
static void need_refusal(int code)
{
    NEED(code == ENOMEM || code == EPERM || code == ENOTSUP || code == EAGAIN);
    NEED(securemem_last_error()->code == code);
    NEED(strlen(securemem_last_error()->message) > 20);
}

/* What is handed out under a fault is as protected as ever: smaps says so. */
static void need_protected(const void *secret)
{
    struct smaps_entry entry;
    smaps_read();
    NEED(smaps_range(secret, BYTES, &entry));
    NEED(entry.locked && entry.not_dumped);
    NEED((class & SECUREMEM_SEAL_KEEP) != 0 || entry.wiped);
    size_t page = view_page_size();
    const char *behind =
        (const char *)(((uintptr_t)secret + BYTES + page - 1) / page * page);
    NEED(!view_readable(behind));
}

/* Where a release was refused, something of it stays: wiped, for the next trim. */
static bool keeps_something(void)
{
    return plan.function == FAULT_UNMAP || plan.function == FAULT_UNLOCK ||
           plan.function == FAULT_PROTECT || plan.function == FAULT_IS_LOCKED ||
           plan.function == FAULT_ADVISE || plan.onward;
}

static int seal_one(void)
{
    fault_arm(&plan);
    errno = 0;
    securemem_sealed *sealed = securemem_seal(now, BYTES, class);
    int code = errno;
    fault_disarm();
    if (sealed == NULL)
        need_refusal(code);
    else
        need_sealed(sealed, now);
    securemem_sealed_free(sealed);
    sealed = securemem_seal(now, BYTES, class); /* a refusal does not last */
    NEED(sealed != NULL);
    need_sealed(sealed, now);
    securemem_sealed_free(sealed);
    return 0;
}

static int unseal_one(void)
{
    size_t locked = view_locked_bytes();
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = securemem_unseal(elder, NULL);
    int code = errno;
    fault_disarm();
    if (secret == NULL) {
        need_refusal(code);
        NEED(keeps_something() ||
             view_locked_bytes() <= locked + IDLE_PAGES * view_page_size());
    } else {
        NEED(memcmp(secret, was, BYTES) == 0);
        need_protected(secret);
    }
    securemem_free(secret);
    return 0;
}

static int unseal_in_place(void)
{
    errno = 77;
    fault_arm(&plan);
    int result = securemem_unseal_into(elder, into, BYTES);
    fault_disarm();
    NEED(errno == 77);
    NEED(result == 0 || (class & SECUREMEM_SEAL_SHIELDED) != 0);
    if (result != 0)
        need_refusal(-result);
    else
        NEED(memcmp(into, was, BYTES) == 0);
    return 0;
}

/* Either all of the writing is there afterwards, or the scope stays open. */
static int write_one(void)
{
    fault_arm(&plan);
    errno = 0;
    unsigned char *open = securemem_sealed_open(elder, SECUREMEM_WRITE);
    int code = errno;
    int closed = -1;
    if (open != NULL) {
        memcpy(open, now, BYTES);
        closed = securemem_sealed_close(elder);
    }
    fault_disarm();
    if (open == NULL) {
        need_refusal(code);
        return 0;
    }
    if (closed != 0) {
        need_refusal(-closed);
        need_protected(open);
        NEED(memcmp(open, now, BYTES) == 0);
        NEED(securemem_sealed_close(elder) == 0);
    }
    need_sealed(elder, now);
    memcpy(was, now, BYTES);
    return 0;
}

/* Sealed anew by another key than it was opened with; refused, the old one still opens it. */
static int write_after_rotation(void)
{
    unsigned char *open = securemem_sealed_open(elder, SECUREMEM_WRITE);
    NEED(open != NULL && securemem_sealed_rotate() == 0);
    memcpy(open, now, BYTES);
    errno = 77;
    fault_arm(&plan);
    int closed = securemem_sealed_close(elder);
    fault_disarm();
    NEED(errno == 77);
    if (closed != 0) {
        need_refusal(-closed);
        need_sealed(elder, was);
        NEED(securemem_sealed_close(elder) == 0);
    }
    need_sealed(elder, now);
    memcpy(was, now, BYTES);
    return 0;
}

/* A refused rotation leaves the old key in use; what cannot be sealed anew stays. */
static int rotate(void)
{
    const struct smem_sealing_key *old = elder->key;
    securemem_sealed *other = securemem_seal(now, BYTES, class);
    NEED(other != NULL);
    fault_arm(&plan);
    errno = 77;
    int result = securemem_sealed_rotate();
    int second = securemem_unseal_into(other, into, BYTES);
    int code = errno;
    fault_disarm();
    NEED(code == 77); /* neither refused calls set it, nor what is done in passing */
    if (result != 0)
        need_refusal(-result);
    else if (second == 0)
        NEED(memcmp(into, now, BYTES) == 0);
    for (unsigned i = 0; i < 8; i++)
        need_sealed(other, now);
    NEED(result != 0 || elder->key != old);
    securemem_sealed_free(other);
    return 0;
}

static int free_one(void)
{
    NEED(securemem_sealed_open(elder, SECUREMEM_READ) != NULL);
    size_t locked = view_locked_bytes();
    fault_arm(&plan);
    errno = 0;
    securemem_sealed_free(elder);
    NEED(errno == 0);
    fault_disarm();
    NEED(view_locked_bytes() <= locked);
    elder = NULL;
    return 0;
}

/* A child whose kernel refuses: it opens what it may, seals with its own key or not. */
static int fork_one(void)
{
    const struct smem_sealing_key *old = elder->key;
    fault_arm(&plan);
    pid_t child = fork();
    if (child == 0) {
        bool whole = smem_key_is_whole(old);
        errno = 0;
        securemem_sealed *own = securemem_seal(now, BYTES, class);
        if (own == NULL)
            need_refusal(errno);
        int result = securemem_unseal_into(elder, into, BYTES);
        fault_disarm();
        if ((class & SECUREMEM_SEAL_KEEP) == 0)
            NEED(!whole);
        NEED(own == NULL || own->key != old);
        if (!whole)
            NEED(result == -ENOKEY);
        else if (result == 0)
            NEED(memcmp(into, was, BYTES) == 0);
        else
            need_refusal(-result);
        securemem_sealed_free(own);
        own = securemem_seal(now, BYTES, class);
        NEED(own != NULL && own->key != old);
        need_sealed(own, now);
        _exit(0);
    }
    fault_disarm();
    int status = 0;
    NEED(child > 0 && waitpid(child, &status, 0) == child);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

struct act {
    const char *name;
    int (*act)(void);
    bool has_elder;
};

static const struct act acts[] = {
    {"the first seal", seal_one, false},
    {"a seal", seal_one, true},
    {"an unseal", unseal_one, true},
    {"an unseal in place", unseal_in_place, true},
    {"writing in a scope", write_one, true},
    {"writing, and a rotation", write_after_rotation, true},
    {"a rotation", rotate, true},
    {"a free of an open one", free_one, true},
    {"a fork", fork_one, true},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
    unsigned class;
};

/* In a child that has never sealed anything. */
static int try_one(void *argument)
{
    const struct trial *trial = argument;
    plan = *trial->plan;
    class = trial->class;
    memset(was, 0x3c, BYTES);
    memset(now, 0xc3, BYTES);
    if (trial->act->has_elder) {
        elder = securemem_seal(was, BYTES, class);
        NEED(elder != NULL);
    }
    int result = trial->act->act();
    if (result == 0 && elder != NULL)
        need_sealed(elder, was);
    securemem_sealed_free(elder);
    return result;
}

static void try_all(const struct act *act, unsigned of_class)
{
    struct trial trial = {.act = act, .plan = trials_plan(), .class = of_class};
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = true};
    snprintf(trials.name, sizeof trials.name, "%s, class %u", act->name, of_class);
    assert_true(trials_run(&trials));
}

static void sealed_secrets_under_every_fault_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        for (unsigned c = 0; c < SMEM_SEAL_CLASSES; c++)
            try_all(&acts[i], c);
    trials_end(1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_secrets_under_every_fault_are_kept),
    };
    return RUN_GROUP(tests);
}
