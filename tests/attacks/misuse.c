/* SPDX-License-Identifier: ISC */
/*
 * Attack: misuse, and a look at every other secret at the moment the process aborts.
 * Control: the double free of malloc, whose abort leaves everything in place.
 */
#include <signal.h>
#include <sys/wait.h>

#include "attacks/subject.h"

enum misuse {
    DOUBLE_FREE,
    INTERIOR,
    FOREIGN,
    WRONG_ARENA,
    CANARY,
    NOT_AN_ARENA,
    DOUBLE_FREE_OF_MALLOC /* the control */
};

struct misuse_case {
    enum misuse misuse;
    securemem_guard_kind kind;
    size_t idle;
};

#define LIVE 7U

static void *live_secret(securemem_arena *arena)
{
    void *secret = arena == NULL ? securemem_alloc(copies_bytes())
                                 : securemem_arena_alloc(arena, copies_bytes());
    attack_require(secret != NULL, "a live secret");
    subject_receive_copies(secret);
    subject_tell(secret, copies_bytes());
    return secret;
}

/* Live ones in three arenas, in every state of access. */
static void make_live(securemem_arena *first, securemem_arena *second)
{
    for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++) {
        void *secret = live_secret(access == SECUREMEM_READ ? second : first);
        attack_require(securemem_set_access(secret, (securemem_access)access) == 0,
                       "securemem_set_access");
    }
    void *opened = live_secret(first);
    attack_require(securemem_set_access(opened, SECUREMEM_NONE) == 0 &&
                       securemem_open(opened, SECUREMEM_READ) == 0,
                   "securemem_open");
    live_secret(second);
    live_secret(NULL);
    attack_require(securemem_set_access(live_secret(NULL), SECUREMEM_NONE) == 0,
                   "securemem_set_access");
}

static void make_live_of_malloc(void)
{
    for (size_t i = 0; i < LIVE; i++) {
        void *block = malloc(copies_bytes());
        attack_require(block != NULL, "malloc");
        subject_receive_copies(block);
        subject_tell(block, copies_bytes());
    }
}

static void misuse_malloc(void)
{
    make_live_of_malloc();
    void *block = malloc(32);
    attack_require(block != NULL, "malloc");
    subject_pause();
    free(hidden(block));
    free(hidden(block));
}

/* What the message names: told last, for the parent. */
static void do_misuse(enum misuse misuse, securemem_arena *first, securemem_arena *second)
{
    static char foreign[64];
    unsigned char *secret = securemem_arena_alloc(first, 40);
    attack_require(secret != NULL, "securemem_arena_alloc");
    const void *named = misuse == INTERIOR       ? secret + 8
                        : misuse == FOREIGN      ? (void *)foreign
                        : misuse == NOT_AN_ARENA ? (void *)first
                                                 : (void *)secret;
    subject_tell(named, 0);
    subject_pause();
    switch (misuse) {
    case DOUBLE_FREE:
        securemem_free(secret);
        securemem_free(secret);
        break;
    case INTERIOR:
        securemem_free(secret + 8);
        break;
    case FOREIGN:
        securemem_free(foreign);
        break;
    case WRONG_ARENA:
        securemem_arena_free(second, secret);
        break;
    case CANARY:
        secret[40] ^= 1; /* padding */
        securemem_free(secret);
        break;
    default:
        securemem_arena_destroy(first);
        securemem_arena_destroy(first);
    }
}

static void misuse_something(const void *argument)
{
    const struct misuse_case *plan = argument;
    if (plan->misuse == DOUBLE_FREE_OF_MALLOC) {
        misuse_malloc();
        return;
    }
    securemem_arena_options options = {.guard_kind = plan->kind, .idle = plan->idle};
    securemem_arena *first = securemem_arena_create(&options);
    securemem_arena *second = securemem_arena_create(&options);
    securemem_arena *third = securemem_arena_create(&options);
    attack_require(first != NULL && second != NULL && third != NULL, "arenas");
    /* A destroyed arena holds none: there the live ones are in the others. */
    make_live(plan->misuse == NOT_AN_ARENA ? third : first, second);
    do_misuse(plan->misuse, first, second);
}

struct found {
    size_t before, after, nonzero;
};

/* Counts over all that the subject told; a told length of 0 is only an address. */
static size_t copies_of_all(const struct subject *subject, const unsigned char *marker)
{
    size_t count = 0;
    for (size_t i = 0; i < LIVE; i++)
        count += subject_copies(subject, marker, subject->page->told[i].address,
                                subject->page->told[i].length);
    return count;
}

static size_t nonzero_of_all(const struct subject *subject)
{
    size_t count = 0, length = copies_bytes();
    char *bytes = malloc(length);
    assert_non_null(bytes);
    for (size_t i = 0; i < LIVE; i++) {
        const void *address = subject->page->told[i].address;
        assert_int_equal(subject_peek(subject, address, bytes, length), length);
        count += nonzero_count(bytes, length);
    }
    free(bytes);
    return count;
}

/* False where the machine cannot run the attack. */
static bool attack(const struct misuse_case *plan, struct found *found, uintptr_t *named,
                   char *words, size_t size)
{
    unsigned char marker[MARKER_BYTES];
    struct subject subject;
    if (!subject_start(&subject, true, misuse_something, plan))
        return false;
    marker_draw(marker);
    for (size_t i = 0; i < LIVE; i++)
        subject_send_copies(&subject, marker);
    subject_run(&subject);
    assert_int_equal(subject.stop, SIGSTOP);
    found->before = copies_of_all(&subject, marker);
    *named = (uintptr_t)subject.page->told[LIVE].address;

    subject_run(&subject); /* stands where SIGABRT would be delivered */
    assert_int_equal(subject.stop, SIGABRT);
    found->after = copies_of_all(&subject, marker);
    found->nonzero = nonzero_of_all(&subject);
    subject_run(&subject);
    assert_true(WIFSIGNALED(subject.status));
    assert_int_equal(WTERMSIG(subject.status), SIGABRT);
    subject_end(&subject, words, size);
    return true;
}

static const char *const texts[] = {
    [DOUBLE_FREE] = "double free of ",
    [INTERIOR] = "free of a pointer that is not the start of a secret: ",
    [FOREIGN] = "free of a foreign pointer: ",
    [WRONG_ARENA] = "free in the wrong arena of ",
    [CANARY] = "bytes around a secret were overwritten: ",
    [NOT_AN_ARENA] = "use of what is not a live arena: ",
};

static void every_misuse_aborts_in_one_line_after_all_secrets_are_wiped(void **state)
{
    (void)state;
    struct found found;
    uintptr_t named;
    char words[1024], line[256];
    struct misuse_case control = {.misuse = DOUBLE_FREE_OF_MALLOC};
    if (!attack(&control, &found, &named, words, sizeof words))
        SKIP("ptrace(2) is not allowed here");
    assert_int_equal(found.before, LIVE * COPIES);
    assert_int_equal(found.after, LIVE * COPIES);
    NOTE("%zu of %zu copies when malloc aborts, 0 when securemem does", found.after,
         found.before);

    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < 2 * count * COUNT(texts); i++) {
        struct misuse_case plan = {.misuse = (enum misuse)(i / 2 / count),
                                   .kind = kinds[i / 2 % count],
                                   .idle = i % 2 == 0 ? 0 : SIZE_MAX};
        assert_true(attack(&plan, &found, &named, words, sizeof words));
        assert_int_equal(found.before, LIVE * COPIES);
        assert_int_equal(found.after, 0);
        assert_int_equal(found.nonzero, 0);
        snprintf(line, sizeof line, "securemem: %s0x%lx\n", texts[plan.misuse],
                 (unsigned long)named);
        assert_string_equal(words, line);
    }
    SAY_WHICH_KINDS(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_misuse_aborts_in_one_line_after_all_secrets_are_wiped),
    };
    return RUN_GROUP(tests);
}
