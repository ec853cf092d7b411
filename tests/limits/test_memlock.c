/* SPDX-License-Identifier: ISC */
/* RLIMIT_MEMLOCK: what fits is locked, what does not is refused with the remedy. */
#include <errno.h>
#include <pthread.h>
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits/many.h"
#include "support/need.h"
#include "support/smaps.h"
#include "support/view.h"

#define SIZE 32
#define KIB  1024UL
#define MIB  (1024UL * KIB)
#define MOST 4096

static void *secrets[MOST];

static int names_the_limit(const securemem_error *error)
{
    return strstr(error->message, "RLIMIT_MEMLOCK") != NULL &&
           strstr(error->message, "LimitMEMLOCK=") != NULL &&
           strstr(error->message, "CAP_IPC_LOCK") != NULL;
}

static size_t alloc_until_refused(securemem_arena *arena, size_t most)
{
    size_t n = 0;
    while (n < most && (secrets[n] = securemem_arena_alloc(arena, SIZE)) != NULL)
        n++;
    return n;
}

static int at_a_limit_of_0(void *argument)
{
    (void)argument;
    if (!child_become_ordinary(0))
        return SKIP_EXIT;
    errno = 0;
    NEED(securemem_alloc(SIZE) == NULL);
    NEED(errno == EPERM);
    const securemem_error *error = securemem_last_error();
    NEED(error->code == EPERM && error->kernel_code == EPERM);
    NEED(error->limit == 0 && error->needed == view_page_size());
    NEED(names_the_limit(error));
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void a_limit_of_0_gives_no_secret_and_names_the_remedy(void **state)
{
    (void)state;
    if (child_skips(at_a_limit_of_0, NULL))
        SKIP("this process may not lower its limit or leave root");
}

/* Fills the limit: exactly its pages are locked, the next is refused, a free makes room.
 */
static int fill_the_limit(void *argument)
{
    size_t limit = *(size_t *)argument, page = view_page_size();
    if (!child_become_ordinary(limit))
        return SKIP_EXIT;
    securemem_arena *arena = securemem_arena_create(NULL);
    NEED(arena != NULL);
    size_t n = alloc_until_refused(arena, MOST);
    NEED(errno == ENOMEM);
    NEED(n == limit / page);
    const securemem_error *error = securemem_last_error();
    NEED(error->code == ENOMEM && error->kernel_code == ENOMEM);
    NEED(error->needed == page && error->limit == limit && error->in_use == limit);
    NEED(names_the_limit(error));

    struct many many;
    many_look(secrets, n, &many);
    NEED(many.locked == n && many.guarded == n && many.not_dumped == n);
    NEED(many.wiped == n && view_locked_bytes() == limit);

    securemem_free(secrets[n / 2]);
    secrets[n / 2] = securemem_arena_alloc(arena, SIZE);
    NEED(secrets[n / 2] != NULL);
    NEED(securemem_arena_alloc(arena, SIZE) == NULL && errno == ENOMEM);
    many_look(secrets, n, &many);
    NEED(many.locked == n && many.guarded == n && view_locked_bytes() == limit);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == 0);
    return 0;
}

static void a_limit_of_64_kib_is_filled_to_its_last_page(void **state)
{
    (void)state;
    size_t limit = 64 * KIB;
    if (child_skips(fill_the_limit, &limit))
        SKIP("this process may not lower its limit or leave root");
}

static void a_limit_of_8_mib_holds_2048_guarded_secrets(void **state)
{
    (void)state;
    size_t limit = 8 * MIB;
    if (child_skips(fill_the_limit, &limit))
        SKIP("this process has a smaller limit than 8 MiB");
}

/* Beyond the limit a preferred lock is missing, and the report says so, as smaps does. */
static int prefer_the_lock(void *argument)
{
    size_t limit = *(size_t *)argument;
    if (!child_become_ordinary(limit))
        return SKIP_EXIT;
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.lock = SECUREMEM_PREFERRED});
    NEED(arena != NULL);
    size_t locked = 0, n = 2 * limit / view_page_size() + 1;
    NEED(alloc_until_refused(arena, n) == n);
    smaps_read();
    for (size_t i = 0; i < n; i++) {
        securemem_protection says;
        NEED(securemem_protection(secrets[i], &says) == 0);
        NEED(says.witness == SECUREMEM_WITNESS_SMAPS && says.guards.holds);
        NEED(says.lock.holds == smaps_at(secrets[i])->locked);
        NEED(says.lock.holds || says.lock.refused == (limit == 0 ? EPERM : ENOMEM));
        locked += says.lock.holds != 0;
    }
    NEED(locked == limit / view_page_size() && view_locked_bytes() == limit);
    return 0;
}

static void a_preferred_lock_beyond_the_limit_is_reported_missing(void **state)
{
    (void)state;
    size_t limits[] = {0, 64 * KIB};
    for (size_t i = 0; i < 2; i++)
        if (child_skips(prefer_the_lock, &limits[i]))
            SKIP("this process may not lower its limit or leave root");
}

/* Of a limit of 16 pages: so many are left, and so many secrets made. */
#define FEW  4
#define MANY 32

static void *make_and_free(void *arena)
{
    size_t made = alloc_until_refused(arena, MANY);
    for (size_t i = 0; i < made; i++)
        securemem_free(secrets[i]);
    return (void *)made;
}

/*
 * A few idle pages of the arena are locked, the others are refused. What a thread takes into
 * its cache while the limit is full is not refused memory: later ones have room to be locked.
 */
static int make_room_later(void *argument)
{
    size_t limit = *(size_t *)argument, page = view_page_size();
    if (!child_become_ordinary(limit))
        return SKIP_EXIT;
    securemem_arena *others = securemem_arena_create(NULL);
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.lock = SECUREMEM_PREFERRED, .idle = SIZE_MAX});
    NEED(others != NULL && arena != NULL);
    NEED(alloc_until_refused(others, limit / page - FEW) == limit / page - FEW);
    pthread_t thread;
    void *made;
    NEED(pthread_create(&thread, NULL, make_and_free, arena) == 0);
    NEED(pthread_join(thread, &made) == 0 && (size_t)made == MANY);
    NEED(view_locked_bytes() == limit);

    /* With this one others are cached, and the limit is full. */
    void *first = securemem_arena_alloc(arena, SIZE);
    NEED(first != NULL && view_locked_bytes() == limit);
    securemem_arena_destroy(others);
    size_t more = limit / page - 1;
    NEED(alloc_until_refused(arena, more) == more);
    secrets[more] = first;
    struct many many;
    many_look(secrets, limit / page, &many);
    NEED(many.locked == limit / page && view_locked_bytes() == limit);
    for (size_t i = 0; i <= more; i++) {
        securemem_protection says;
        NEED(securemem_protection(secrets[i], &says) == 0);
        NEED(says.lock.holds && says.lock.refused == 0);
    }
    return 0;
}

static void a_preferred_lock_is_tried_again_where_there_is_room(void **state)
{
    (void)state;
    size_t limit = 64 * KIB;
    if (child_skips(make_room_later, &limit))
        SKIP("this process may not lower its limit or leave root");
}

/*
 * Whether the lock limit has room for so many secrets, each with its guard, in batches; and
 * for a moment for what is reserved, which MCL_FUTURE locks before it is unlocked.
 */
static bool has_room_for(size_t count)
{
    securemem_budget_report report;
    return securemem_budget(&report) == 0 &&
           report.available >= 4 * count * view_page_size() + 2 * MIB;
}

/* mlockall(MCL_FUTURE) locks and charges reservations, and forbids guards in them. */
static int lock_everything_first(void *argument)
{
    securemem_guard_kind kind = *(securemem_guard_kind *)argument;
    size_t page = view_page_size(), n = 40;
    smaps_read(); /* its table, before it would be locked */
    (void)view_mappings();
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0 || !has_room_for(n))
        return SKIP_EXIT;
    securemem_arena *arena =
        securemem_arena_create(&(securemem_arena_options){.guard_kind = kind});
    NEED(arena != NULL);
    securemem_budget_report report;
    size_t before = view_locked_bytes();
    NEED(alloc_until_refused(arena, n) == n);
    size_t charged = view_locked_bytes() - before;
    NEED(securemem_budget(&report) == 0 && report.charged == charged);
    if (kind == SECUREMEM_GUARDS_PROT_NONE)
        NEED(charged == n * page);
    NEED(many_probe_guards(secrets, n) == n);
    struct many many;
    many_look(secrets, n, &many);
    NEED(many.locked == n && many.not_dumped == n && many.wiped == n);
    securemem_protection says;
    NEED(securemem_protection(secrets[n - 1], &says) == 0);
    NEED(says.lock.holds && says.guards.holds && says.guard_kind == kind);
    securemem_arena_destroy(arena);
    NEED(view_locked_bytes() == before);
    return 0;
}

/* What was reserved before is locked with everything, and takes no guards as it is. */
static int lock_everything_amid(void *argument)
{
    (void)argument;
    size_t n = 100;
    smaps_read();
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_REGION});
    NEED(arena != NULL && alloc_until_refused(arena, 1) == 1);
    if (mlockall(MCL_CURRENT) != 0 || !has_room_for(n))
        return SKIP_EXIT;
    NEED(alloc_until_refused(arena, n) == n);
    NEED(many_probe_guards(secrets, n) == n);
    struct many many;
    many_look(secrets, n, &many);
    NEED(many.locked == n);
    securemem_arena_destroy(arena);
    return 0;
}

static int lock_everything_as_ordinary(void *argument)
{
    /* Room for the program itself, and not for reservations that stay charged. */
    if (!child_become_ordinary(8 * MIB))
        return SKIP_EXIT;
    return lock_everything_first(argument);
}

/* Of the two kinds of guard; that one is missing is said aloud. */
static size_t count_of_kinds(const char *test)
{
    if (view_guard_regions_exist())
        return 2;
    printf("SKIP: %s: with guard regions: this kernel has none (Linux 6.13)\n", test);
    return 1;
}

static void under_mlockall_secrets_have_guards_that_are_not_charged(void **state)
{
    (void)state;
    securemem_guard_kind kinds[] = {SECUREMEM_GUARDS_PROT_NONE, SECUREMEM_GUARDS_REGION};
    for (size_t i = 0; i < count_of_kinds(__func__); i++)
        if (child_skips(lock_everything_first, &kinds[i]))
            SKIP("mlockall is refused here, or leaves too little of the lock limit");
}

static void after_mlockall_an_arena_goes_on_to_have_guards(void **state)
{
    (void)state;
    if (!view_guard_regions_exist())
        SKIP("guard regions need Linux 6.13");
    if (child_skips(lock_everything_amid, NULL))
        SKIP("mlockall is refused here, or leaves too little of the lock limit");
}

static void under_mlockall_and_a_limit_secrets_have_guards(void **state)
{
    (void)state;
    securemem_guard_kind kinds[] = {SECUREMEM_GUARDS_PROT_NONE, SECUREMEM_GUARDS_REGION};
    for (size_t i = 0; i < count_of_kinds(__func__); i++)
        if (child_skips(lock_everything_as_ordinary, &kinds[i]))
            SKIP("this program does not fit under a limit of 8 MiB here");
}

/* What a refusal says is needed is enough, once it is free. */
static int seal_at_a_full_limit(void *argument)
{
    unsigned flags = *(unsigned *)argument;
    unsigned char plain[SIZE] = "a secret of thirty-two bytes...", opened[SIZE] = "";
    if (!child_become_ordinary(32 * view_page_size()))
        return SKIP_EXIT;
    securemem_arena *arena = securemem_arena_create(NULL);
    NEED(arena != NULL);
    size_t left = alloc_until_refused(arena, MOST);
    NEED(securemem_seal(plain, SIZE, flags) == NULL && errno == ENOMEM);
    NEED(names_the_limit(securemem_last_error()));
    size_t needed = securemem_last_error()->needed;
    NEED(needed >= view_page_size());
    for (size_t freed = 0; freed < needed; freed += view_page_size())
        securemem_free(secrets[--left]);
    securemem_sealed *sealed = securemem_seal(plain, SIZE, flags);
    NEED(sealed != NULL);
    NEED(securemem_unseal_into(sealed, opened, SIZE) == 0);
    NEED(memcmp(plain, opened, SIZE) == 0);
    return 0;
}

static const unsigned char shielded[SIZE] = "what one thread has sealed";

/* 1 where this thread can open it and seal it again. */
static void *open_and_seal(void *sealed)
{
    static char can;
    unsigned char opened[SIZE];
    bool opens = securemem_unseal_into(sealed, opened, SIZE) == 0 &&
                 memcmp(opened, shielded, SIZE) == 0;
    securemem_sealed *again = securemem_seal(shielded, SIZE, SECUREMEM_SEAL_SHIELDED);
    securemem_sealed_free(again);
    return opens && again != NULL ? &can : NULL;
}

/* With all protection keys taken: behind one of them threads cache nothing. */
static int unseal_at_a_full_limit(void *unused)
{
    (void)unused;
    void *result;
    pthread_t thread;
    if (!child_become_ordinary(32 * view_page_size()))
        return SKIP_EXIT;
    while (syscall(SYS_pkey_alloc, 0, 0) >= 0)
        continue;
    securemem_sealed *sealed = securemem_seal(shielded, SIZE, SECUREMEM_SEAL_SHIELDED);
    NEED(sealed != NULL && open_and_seal(sealed) != NULL);
    securemem_arena *arena = securemem_arena_create(NULL);
    NEED(arena != NULL && alloc_until_refused(arena, MOST) > 0 && errno == ENOMEM);
    NEED(pthread_create(&thread, NULL, open_and_seal, sealed) == 0);
    NEED(pthread_join(thread, &result) == 0 && result != NULL);
    NEED(securemem_sealed_rotate() == -ENOMEM); /* which takes nothing away */
    NEED(securemem_arena_alloc(arena, SIZE) == NULL);
    NEED(open_and_seal(sealed) != NULL);
    return 0;
}

static void what_is_shielded_is_opened_at_a_full_limit_by_any_thread(void **state)
{
    (void)state;
    if (child_skips(unseal_at_a_full_limit, NULL))
        SKIP("this process may not lower its limit or leave root");
}

static void sealing_at_a_full_limit_names_what_it_needs(void **state)
{
    (void)state;
    unsigned flags[] = {0, SECUREMEM_SEAL_KEEP};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (child_skips(seal_at_a_full_limit, &flags[i]))
            SKIP("this process may not lower its limit or leave root");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_of_0_gives_no_secret_and_names_the_remedy),
        cmocka_unit_test(a_limit_of_64_kib_is_filled_to_its_last_page),
        cmocka_unit_test(a_limit_of_8_mib_holds_2048_guarded_secrets),
        cmocka_unit_test(a_preferred_lock_beyond_the_limit_is_reported_missing),
        cmocka_unit_test(a_preferred_lock_is_tried_again_where_there_is_room),
        cmocka_unit_test(under_mlockall_secrets_have_guards_that_are_not_charged),
        cmocka_unit_test(sealing_at_a_full_limit_names_what_it_needs),
        cmocka_unit_test(what_is_shielded_is_opened_at_a_full_limit_by_any_thread),
        cmocka_unit_test(after_mlockall_an_arena_goes_on_to_have_guards),
        cmocka_unit_test(under_mlockall_and_a_limit_secrets_have_guards),
    };
    return RUN_GROUP(tests);
}
