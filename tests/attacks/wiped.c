/* SPDX-License-Identifier: ISC */
/*
 * Attack: read the pages of a freed secret, while they are kept idle, and at the entry of
 * the system call that gives them to the kernel. Control: the same without the library.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "attacks/subject.h"

#define ADVICE_DONTNEED_LOCKED 24

/* The secret leaves so much of its pages to the canary, which has to go with it. */
#define CANARY_BYTES 64U

/* How the pages of a secret are given up. */
enum way {
    FREE,
    FREE_CLOSED, /* at rest without access */
    REALLOC,
    TRIM,
    DESTROY,
    RAW_MUNMAP, /* the controls */
    RAW_DONTNEED,
    RAW_FREE
};

struct plan {
    enum way way;
    securemem_guard_kind kind;
    size_t idle, neighbours;
};

static void give_up_raw(enum way way)
{
    /* One heap for all, so that a freed block stays in it. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    size_t length = copies_bytes();
    void *pages = way == RAW_FREE ? malloc(length)
                                  : mmap(NULL, length, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    attack_require(pages != NULL && pages != MAP_FAILED, "pages");
    subject_receive_copies(pages);
    subject_tell(pages, length);
    subject_pause();
    if (way == RAW_MUNMAP)
        munmap(pages, length);
    else if (way == RAW_DONTNEED)
        madvise(pages, length, MADV_DONTNEED);
    else
        free(hidden(pages));
}

static void give_up(const void *argument)
{
    const struct plan *plan = argument;
    if (plan->way >= RAW_MUNMAP) {
        give_up_raw(plan->way);
        subject_pause();
        return;
    }
    size_t length = copies_bytes();
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = plan->kind, .idle = plan->idle});
    attack_require(arena != NULL, "securemem_arena_create");
    for (size_t i = 0; i < plan->neighbours; i++)
        attack_require(securemem_arena_alloc(arena, length) != NULL, "a neighbour");
    unsigned char *secret = securemem_arena_alloc(arena, length - CANARY_BYTES);
    attack_require(secret != NULL, "securemem_arena_alloc");
    unsigned char *slot = secret - CANARY_BYTES;
    subject_receive_copies(slot);
    if (plan->way == FREE_CLOSED)
        attack_require(securemem_set_access(secret, SECUREMEM_NONE) == 0, "closing");
    subject_tell(slot, length);
    subject_pause();
    switch (plan->way) {
    case FREE:
    case FREE_CLOSED:
        securemem_free(secret);
        break;
    case REALLOC:
        attack_require(securemem_realloc(secret, 2 * length) != NULL, "realloc");
        break;
    case TRIM:
        securemem_free(secret);
        attack_require(securemem_arena_trim(arena) == 0, "securemem_arena_trim");
        break;
    default:
        securemem_arena_destroy(arena);
    }
    subject_pause();
}

/* What the told pages held when they were given up. */
struct seen {
    unsigned calls; /* that gave up a part of them */
    size_t copies, nonzero;
};

static bool gives_up(const struct __ptrace_syscall_info *info, uintptr_t *start,
                     size_t *length)
{
    *start = (uintptr_t)info->entry.args[0];
    *length = (size_t)info->entry.args[1];
    if (info->entry.nr == SYS_munmap || info->entry.nr == SYS_mremap)
        return true;
    if (info->entry.nr != SYS_madvise)
        return false;
    switch (info->entry.args[2]) {
    case MADV_DONTNEED:
    case MADV_FREE:
    case ADVICE_DONTNEED_LOCKED:
    case ADVICE_GUARD_INSTALL:
        return true;
    default:
        return false;
    }
}

static void look(const struct subject *subject, const unsigned char *marker,
                 uintptr_t start, size_t length, struct seen *seen)
{
    uintptr_t from = (uintptr_t)subject->page->told[0].address;
    uintptr_t to = from + subject->page->told[0].length;
    if (start > from)
        from = start;
    if (start + length < to)
        to = start + length;
    if (from >= to)
        return;
    char *bytes = malloc(to - from);
    assert_non_null(bytes);
    /* Through protections, as the kernel's own hand. */
    size_t got = subject_peek(subject, (void *)from, bytes, to - from);
    assert_int_equal(got, to - from);
    seen->calls++;
    seen->copies += marker_count(marker, bytes, got);
    seen->nonzero += nonzero_count(bytes, got);
    free(bytes);
}

/* False where the machine cannot run the attack. */
static bool watch(struct plan plan, struct seen *seen)
{
    unsigned char marker[MARKER_BYTES];
    struct subject subject;
    *seen = (struct seen){0};
    if (!subject_start(&subject, true, give_up, &plan))
        return false;
    marker_draw(marker);
    subject_send_copies(&subject, marker);
    subject_run(&subject);
    assert_int_equal(subject.stop, SIGSTOP);
    assert_int_equal(
        subject_copies(&subject, marker, subject.page->told[0].address, copies_bytes()),
        COPIES);
    bool known = true;
    for (subject_step_syscall(&subject); known && subject.stop == (SIGTRAP | 0x80);
         subject_step_syscall(&subject)) {
        struct __ptrace_syscall_info info;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, subject.pid, (void *)sizeof info, &info) <= 0)
            known = false;
        uintptr_t start;
        size_t length;
        if (known && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
            gives_up(&info, &start, &length))
            look(&subject, marker, start, length, seen);
    }
    int stop = subject.stop;
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (known)
        assert_int_equal(stop, SIGSTOP);
    assert_string_equal(words, "");
    return known;
}

static void pages_are_zeros_when_they_go_back_to_the_kernel(void **state)
{
    (void)state;
    struct seen seen;
    const enum way controls[] = {RAW_MUNMAP, RAW_DONTNEED};
    for (size_t i = 0; i < COUNT(controls); i++) {
        if (!watch((struct plan){.way = controls[i]}, &seen))
            SKIP("ptrace(2) or PTRACE_GET_SYSCALL_INFO is not allowed here");
        assert_int_equal(seen.calls, 1);
        assert_int_equal(seen.copies, COPIES);
    }
    static const struct plan plans[] = {
        {.way = FREE},
        {.way = FREE, .neighbours = 3},
        {.way = FREE_CLOSED},
        {.way = FREE_CLOSED, .neighbours = 3},
        {.way = REALLOC, .neighbours = 1},
        {.way = TRIM, .idle = SIZE_MAX},
        {.way = TRIM, .idle = SIZE_MAX, .neighbours = 1},
        {.way = DESTROY, .neighbours = 1},
        {.way = DESTROY, .idle = SIZE_MAX},
    };
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < count * COUNT(plans); i++) {
        struct plan plan = plans[i / count];
        plan.kind = kinds[i % count];
        assert_true(watch(plan, &seen));
        assert_true(seen.calls >= 1);
        assert_int_equal(seen.copies, 0);
        assert_int_equal(seen.nonzero, 0);
    }
    NOTE("%u of %u copies in pages given up by munmap, 0 by securemem", COPIES, COPIES);
    SAY_WHICH_KINDS(count);
}

/* The copies and the bytes that are not zero where the block was, after it was freed. */
static struct seen left_after(struct plan plan)
{
    unsigned char marker[MARKER_BYTES];
    struct subject subject;
    assert_true(subject_start(&subject, false, give_up, &plan));
    marker_draw(marker);
    subject_send_copies(&subject, marker);
    subject_run(&subject);
    assert_int_equal(subject.stop, SIGSTOP);
    const void *address = subject.page->told[0].address;
    size_t length = copies_bytes();
    assert_int_equal(subject_copies(&subject, marker, address, length), COPIES);
    subject_run(&subject);
    assert_int_equal(subject.stop, SIGSTOP);
    char *bytes = malloc(length);
    assert_non_null(bytes);
    assert_int_equal(subject_peek(&subject, address, bytes, length), length);
    struct seen seen = {.copies = marker_count(marker, bytes, length),
                        .nonzero = nonzero_count(bytes, length)};
    free(bytes);
    subject_end(&subject, NULL, 0);
    return seen;
}

static void an_idle_secret_holds_nothing_of_what_it_was(void **state)
{
    (void)state;
    struct seen control = left_after((struct plan){.way = RAW_FREE});
    assert_true(control.copies >= COPIES - 2); /* the heap's lists overwrite some */
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    static const enum way ways[] = {FREE, FREE_CLOSED, REALLOC};
    for (size_t i = 0; i < count * COUNT(ways); i++) {
        struct seen seen = left_after((struct plan){
            .way = ways[i / count], .kind = kinds[i % count], .idle = SIZE_MAX});
        assert_int_equal(seen.copies, 0);
        assert_int_equal(seen.nonzero, 0);
    }
    NOTE("%zu of %u copies after free, 0 after securemem_free", control.copies, COPIES);
    SAY_WHICH_KINDS(count);
}

/* In one process, where a compiler that sees all of it may drop a store to dead memory.
 */
static void what_was_written_before_a_free_is_not_there_after_it(void **state)
{
    (void)state;
    size_t length = copies_bytes();
    unsigned char marker[MARKER_BYTES];
    marker_draw(marker);

    unsigned char *block = malloc(length);
    assert_non_null(block);
    for (size_t i = 0; i < COPIES; i++)
        memcpy(hidden(copy_at(block, i)), marker, sizeof marker);
    const void *stale = hidden(block);
    free(hidden(block));
    assert_true(marker_count(marker, stale, length) >= COPIES - 2);

    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    for (size_t i = 0; i < count; i++) {
        securemem_arena *arena = attack_arena(
            (securemem_arena_options){.guard_kind = kinds[i], .idle = SIZE_MAX});
        unsigned char *secret = securemem_arena_alloc(arena, length);
        assert_non_null(secret);
        for (size_t j = 0; j < COPIES; j++)
            memcpy(copy_at(secret, j), marker, sizeof marker);
        assert_int_equal(marker_count(marker, secret, length), COPIES);
        securemem_free(secret);
        assert_int_equal(nonzero_count(hidden(secret), length), 0);
        securemem_arena_destroy(arena);
    }
    SAY_WHICH_KINDS(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_zeros_when_they_go_back_to_the_kernel),
        cmocka_unit_test(an_idle_secret_holds_nothing_of_what_it_was),
        cmocka_unit_test(what_was_written_before_a_free_is_not_there_after_it),
    };
    return RUN_GROUP(tests);
}
