/* SPDX-License-Identifier: ISC */
/* Sealing keys: rotated in the course of normal calls, in threads, across fork. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sealed/box.h"
#include "support/keys.h"
#include "unit/unit.h"

#define MANY 300

static void fill(unsigned char *bytes, size_t size, size_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)((i + seed * 131) * 2654435761U >> 9);
}

static securemem_sealed *sealed_of(size_t size, size_t seed, unsigned flags)
{
    unsigned char bytes[512];
    fill(bytes, size, seed);
    securemem_sealed *sealed = securemem_seal(bytes, size, flags);
    NEED(sealed != NULL);
    return sealed;
}

static bool holds(securemem_sealed *sealed, size_t size, size_t seed)
{
    unsigned char wanted[512], got[512];
    fill(wanted, size, seed);
    return securemem_unseal_into(sealed, got, size) == 0 &&
           memcmp(wanted, got, size) == 0;
}

/* Whether this thread reaches the key of it; the kernel is asked. */
static bool key_lies_open(const securemem_sealed *sealed)
{
    return view_readable(sealed->key->material);
}

static void *use_in_thread(void *argument)
{
    securemem_sealed *sealed = argument;
    return holds(sealed, 64, 7) && !key_lies_open(sealed) ? sealed : NULL;
}

static int use_in_child(void *argument)
{
    securemem_sealed *sealed = argument;
    NEED(holds(sealed, 64, 7) && !key_lies_open(sealed));
    return 0;
}

static void a_protection_key_closes_sealing_keys_to_all_but_the_cipher(void **state)
{
    (void)state;
    for (unsigned class = 0; class < SMEM_SEAL_CLASSES; class ++) {
        securemem_sealed *sealed = sealed_of(64, 7, class);
        bool open = key_lies_open(sealed);
        securemem_protection says;
        assert_int_equal(securemem_protection(sealed->key->material, &says), 0);
        assert_int_equal(says.protection_key.holds, !open);
        assert_int_equal(says.key, keys_of(sealed->key->material));
        if (keys_in_processor()) {
            assert_false(open);
            pthread_t thread;
            void *passed = NULL;
            assert_int_equal(pthread_create(&thread, NULL, use_in_thread, sealed), 0);
            pthread_join(thread, &passed);
            assert_ptr_equal(passed, sealed);
            if ((class & SECUREMEM_SEAL_KEEP) != 0)
                CHILD_PASSES(use_in_child, sealed);
            unsigned char *opened = securemem_sealed_open(sealed, SECUREMEM_WRITE);
            assert_non_null(opened); /* what is open of it is no sealing key */
            opened[0] ^= 1;
            assert_int_equal(securemem_sealed_close(sealed), 0);
            assert_int_equal(securemem_sealed_rotate(), 0);
            assert_false(holds(sealed, 64, 7) || key_lies_open(sealed));
        } else {
            assert_true(open); /* mprotect(2) does not stand in for it */
        }
        securemem_sealed_free(sealed);
    }
}

/* With all of them in use, it goes on without. */
static int seal_without(void *argument)
{
    (void)argument;
    for (size_t left = keys_left(); left > 0; left--)
        NEED(syscall(SYS_pkey_alloc, 0UL, 0UL) > 0);
    securemem_sealed *sealed = sealed_of(64, 7, 0);
    NEED(holds(sealed, 64, 7) && key_lies_open(sealed));
    securemem_sealed_free(sealed);
    return 0;
}

static void where_none_is_left_sealing_goes_on_without(void **state)
{
    (void)state;
    CHILD_PASSES(seal_without, NULL);
}

static void rotation_seals_everything_anew_in_the_course_of_calls(void **state)
{
    (void)state;
    securemem_sealed *all[MANY];
    const struct smem_sealing_key *old[SMEM_SEAL_CLASSES];
    for (size_t i = 0; i < MANY; i++)
        all[i] = sealed_of(i, i, i % SMEM_SEAL_CLASSES);
    for (unsigned class = 0; class < SMEM_SEAL_CLASSES; class ++)
        old[class] = all[class]->key;
    size_t secrets = budget_now().secrets;
    assert_int_equal(securemem_sealed_rotate(), 0);
    assert_int_equal(budget_now().secrets, secrets + SMEM_SEAL_CLASSES);
    for (size_t i = 0; i < MANY; i++) /* nothing is sealed anew without a call */
        assert_ptr_equal(all[i]->key, old[i % SMEM_SEAL_CLASSES]);
    for (size_t i = 0; i < MANY; i++)
        assert_true(holds(all[0], 0, 0));
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_not_equal(all[i]->key, old[i % SMEM_SEAL_CLASSES]);
    assert_int_equal(budget_now().secrets, secrets); /* the old keys are gone */
    for (size_t i = 0; i < MANY; i++) {
        assert_true(holds(all[i], i, i));
        securemem_sealed_free(all[i]);
    }
}

static void an_old_key_ends_with_what_is_sealed_under_it(void **state)
{
    (void)state;
    securemem_sealed *one = sealed_of(32, 1, 0), *two = sealed_of(32, 2, 0);
    size_t secrets = budget_now().secrets;
    assert_int_equal(securemem_sealed_rotate(), 0);
    assert_true(budget_now().secrets > secrets);
    securemem_sealed_free(one);
    securemem_sealed_free(two);
    assert_int_equal(budget_now().secrets, secrets);
}

static void what_is_open_is_sealed_anew_when_it_is_closed(void **state)
{
    (void)state;
    securemem_sealed *open = sealed_of(32, 1, 0), *other = sealed_of(32, 2, 0);
    const struct smem_sealing_key *old = open->key;
    void *secret = securemem_sealed_open(open, SECUREMEM_READ);
    assert_non_null(secret);
    assert_int_equal(securemem_sealed_rotate(), 0);
    for (unsigned i = 0; i < 10; i++)
        assert_true(holds(other, 32, 2));
    assert_ptr_not_equal(other->key, old);
    assert_ptr_equal(open->key, old);
    assert_int_equal(securemem_sealed_close(open), 0);
    assert_ptr_not_equal(open->key, old);
    assert_true(holds(open, 32, 1));
    securemem_sealed_free(open);
    securemem_sealed_free(other);
}

/* More are open, for as long as the program likes, than are looked at in a call. */
#define OPEN 40

static void what_is_open_keeps_no_other_from_being_sealed_anew(void **state)
{
    (void)state;
    securemem_sealed *open[OPEN], *closed[OPEN];
    for (size_t i = 0; i < OPEN; i++) {
        open[i] = sealed_of(32, i, 0);
        assert_non_null(securemem_sealed_open(open[i], SECUREMEM_READ));
    }
    for (size_t i = 0; i < OPEN; i++)
        closed[i] = sealed_of(32, i, 0);
    size_t secrets = budget_now().secrets;
    const struct smem_sealing_key *old = open[0]->key;
    assert_int_equal(securemem_sealed_rotate(), 0);
    for (unsigned i = 0; i < 2 * OPEN; i++)
        assert_true(holds(closed[0], 32, 0));
    for (size_t i = 0; i < OPEN; i++) {
        assert_ptr_not_equal(closed[i]->key, old);
        assert_ptr_equal(open[i]->key, old);
        assert_int_equal(securemem_sealed_close(open[i]), 0);
        assert_ptr_not_equal(open[i]->key, old);
        assert_true(holds(open[i], 32, i));
    }
    assert_int_equal(budget_now().secrets, secrets - OPEN); /* the old key is gone */
    for (size_t i = 0; i < OPEN; i++) {
        securemem_sealed_free(open[i]);
        securemem_sealed_free(closed[i]);
    }
}

/* One that was altered cannot be sealed anew; it neither stops the others nor is hidden. */
static void an_altered_one_is_left_behind(void **state)
{
    (void)state;
    securemem_sealed *bad = sealed_of(32, 1, 0), *good = sealed_of(32, 2, 0);
    const struct smem_sealing_key *old = good->key;
    bad->bytes[5] ^= 1;
    assert_int_equal(securemem_sealed_rotate(), 0);
    for (unsigned i = 0; i < 10; i++)
        assert_true(holds(good, 32, 2));
    assert_ptr_not_equal(good->key, old);
    unsigned char into[32];
    assert_int_equal(securemem_unseal_into(bad, into, sizeof into), -EBADMSG);
    securemem_sealed_free(bad);
    securemem_sealed_free(good);
}

/* 2^40 blocks, of which all but the last are taken for sealed. */
static void a_key_that_has_sealed_enough_is_exchanged(void **state)
{
    (void)state;
    securemem_sealed *first = sealed_of(32, 1, 0);
    const struct smem_sealing_key *old = first->key;
    atomic_store(&first->key->next, ((uint64_t)1 << 40) - 4);
    securemem_sealed *last = sealed_of(32, 2, 0);
    assert_ptr_equal(last->key, old);
    securemem_sealed *next = sealed_of(32, 3, 0);
    assert_ptr_not_equal(next->key, old);
    assert_true(holds(first, 32, 1) && holds(last, 32, 2) && holds(next, 32, 3));
    securemem_sealed_free(first);
    securemem_sealed_free(last);
    securemem_sealed_free(next);
}

/*
 * Threads that seal, open, write and free, each its own and all of them common ones, while
 * another rotates: what each finds is what was put there.
 */
#define THREADS 4
#define COMMON  8
#define TURNS   3000

struct common {
    securemem_sealed *sealed;
    pthread_mutex_t writing;
};

static struct common common[COMMON];
static atomic_bool ending;

static void use_common(struct common *it, size_t turn)
{
    if (turn % 3 != 0) {
        const unsigned char *open = securemem_sealed_open(it->sealed, SECUREMEM_READ);
        NEED(open != NULL);
        NEED(securemem_sealed_close(it->sealed) == 0);
        return;
    }
    pthread_mutex_lock(&it->writing);
    unsigned char *open = securemem_sealed_open(it->sealed, SECUREMEM_WRITE);
    NEED(open != NULL);
    NEED(all_bytes_are(open, 64, open[0]));
    memset(open, (int)turn & 0xff, 64);
    NEED(securemem_sealed_close(it->sealed) == 0);
    pthread_mutex_unlock(&it->writing);
}

static void *work(void *argument)
{
    size_t me = (size_t)(uintptr_t)argument;
    securemem_sealed *own[16] = {0};
    size_t seeds[16] = {0};
    uint32_t random = (uint32_t)me * 7919 + 1;
    for (size_t turn = 0; turn < paced(TURNS); turn++) {
        random = random * 1664525 + 1013904223;
        size_t at = random >> 28;
        if (own[at] != NULL) {
            NEED(holds(own[at], 1 + at * 13, seeds[at]));
            securemem_sealed_free(own[at]);
        }
        seeds[at] = turn;
        own[at] = sealed_of(1 + at * 13, turn, turn % 16 == 0 ? turn / 16 % 4 : 0);
        use_common(&common[(random >> 20) % COMMON], turn);
    }
    for (size_t i = 0; i < COUNT(own); i++)
        securemem_sealed_free(own[i]);
    return NULL;
}

static void *rotate(void *argument)
{
    while (!atomic_load(&ending)) {
        NEED(securemem_sealed_rotate() == 0);
        for (unsigned i = 0; i < 50; i++)
            NEED(securemem_sealed_open(common[0].sealed, SECUREMEM_READ) != NULL &&
                 securemem_sealed_close(common[0].sealed) == 0);
    }
    return argument;
}

static void threads_find_what_they_sealed_while_keys_are_rotated(void **state)
{
    (void)state;
    size_t secrets = budget_now().secrets;
    unsigned char zeros[64] = {0};
    for (size_t i = 0; i < COMMON; i++) {
        common[i].sealed = securemem_seal(zeros, sizeof zeros, 0);
        assert_non_null(common[i].sealed);
        pthread_mutex_init(&common[i].writing, NULL);
    }
    pthread_t threads[THREADS], rotating;
    assert_int_equal(pthread_create(&rotating, NULL, rotate, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&ending, true);
    pthread_join(rotating, NULL);
    for (size_t i = 0; i < COMMON; i++) {
        securemem_sealed_free(common[i].sealed);
        pthread_mutex_destroy(&common[i].writing);
    }
    assert_true(budget_now().secrets <= secrets + SMEM_SEAL_CLASSES);
}

/*
 * One thread unseals, without a lock, what another writes in scopes and seals anew, under
 * keys that end with it: it finds what was written, whole.
 */
#define WRITTEN 20000

static void *unseal_until_the_end(void *argument)
{
    unsigned char into[256];
    while (!atomic_load(&ending)) {
        NEED(securemem_unseal_into(argument, into, sizeof into) == 0);
        NEED(all_bytes_are(into, sizeof into, into[0]));
    }
    return NULL;
}

static void what_is_unsealed_while_it_is_sealed_anew_is_whole(void **state)
{
    (void)state;
    unsigned char zeros[256] = {0};
    securemem_sealed *sealed = securemem_seal(zeros, sizeof zeros, 0);
    assert_non_null(sealed);
    atomic_store(&ending, false);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, unseal_until_the_end, sealed), 0);
    for (size_t i = 0; i < paced(WRITTEN); i++) {
        unsigned char *open =
            securemem_sealed_open(sealed, i % 2 == 0 ? SECUREMEM_WRITE : SECUREMEM_READ);
        assert_non_null(open);
        if (i % 2 == 0)
            memset(open, (int)i & 0xff, sizeof zeros);
        if (i % 25 == 0)
            assert_int_equal(securemem_sealed_rotate(), 0);
        assert_int_equal(securemem_sealed_close(sealed), 0);
    }
    atomic_store(&ending, true);
    pthread_join(thread, NULL);
    securemem_sealed_free(sealed);
}

/* At the limit of scopes, each thread meets others that leave between its two looks. */
#define SCOPES 65535
#define OPENED 300000

static const void *place;
static atomic_bool elsewhere;

static void *open_at_the_limit(void *sealed)
{
    for (size_t i = 0, opened = paced(OPENED); i < opened; i++) {
        const void *open = securemem_sealed_open(sealed, SECUREMEM_READ);
        if (open == NULL) {
            NEED(errno == EOVERFLOW);
            continue;
        }
        if (open != place)
            atomic_store(&elsewhere, true);
        NEED(securemem_sealed_close(sealed) == 0);
    }
    return NULL;
}

static void scopes_of_threads_are_counted_to_their_limit(void **state)
{
    (void)state;
    securemem_sealed *sealed = sealed_of(32, 1, 0);
    for (unsigned i = 0; i < SCOPES - 1; i++) {
        place = securemem_sealed_open(sealed, SECUREMEM_READ);
        assert_non_null(place);
    }
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_at_the_limit, sealed), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(atomic_load(&elsewhere));
    for (unsigned i = 0; i < SCOPES - 1; i++)
        assert_int_equal(securemem_sealed_close(sealed), 0);
    assert_int_equal(securemem_sealed_close(sealed), -EINVAL);
    securemem_sealed_free(sealed);
}

/* What a child can open, and what it seals with. */
static int look_in_child(securemem_sealed *wiped, securemem_sealed *kept,
                         const struct smem_sealing_key *keys[2])
{
    unsigned char into[32];
    NEED(securemem_unseal_into(wiped, into, sizeof into) == -ENOKEY);
    NEED(securemem_unseal(wiped, NULL) == NULL && errno == ENOKEY);
    NEED(strstr(securemem_last_error()->message, "SECUREMEM_SEAL_KEEP") != NULL);
    NEED(securemem_sealed_open(wiped, SECUREMEM_READ) == NULL && errno == ENOKEY);
    NEED(holds(kept, 32, 2));
    securemem_sealed *own = sealed_of(32, 3, 0), *own_kept = sealed_of(32, 4, 2);
    NEED(own->key != keys[0] && own_kept->key != keys[1]);
    NEED(own->key->epoch != keys[0]->epoch);
    for (unsigned i = 0; i < 5; i++)
        NEED(holds(own, 32, 3) && holds(own_kept, 32, 4));
    NEED(kept->key == own_kept->key && holds(kept, 32, 2)); /* sealed anew by its own */
    securemem_sealed_free(wiped);
    securemem_sealed_free(kept);
    securemem_sealed_free(own);
    securemem_sealed_free(own_kept);
    return 0;
}

static securemem_sealed *wiped, *kept;

static int forked(void *argument)
{
    (void)argument;
    const struct smem_sealing_key *keys[] = {wiped->key, kept->key};
    return look_in_child(wiped, kept, keys);
}

static void a_child_opens_what_was_kept_and_seals_with_keys_of_its_own(void **state)
{
    (void)state;
    wiped = sealed_of(32, 1, 0);
    kept = sealed_of(32, 2, SECUREMEM_SEAL_KEEP);
    CHILD_PASSES(forked, NULL);
    assert_true(holds(wiped, 32, 1) && holds(kept, 32, 2));
    securemem_sealed_free(wiped);
    securemem_sealed_free(kept);
}

/* An open one of a child holds zeros; closing it does not seal them as if they were it. */
static int forked_while_open(void *argument)
{
    (void)argument;
    unsigned char into[32];
    NEED(securemem_sealed_open(wiped, SECUREMEM_READ) == NULL && errno == ENOKEY);
    NEED(securemem_sealed_close(wiped) == 0); /* the one that was inherited */
    NEED(securemem_sealed_close(wiped) == -EINVAL);
    NEED(securemem_unseal_into(wiped, into, sizeof into) == -ENOKEY);
    unsigned char *open = securemem_sealed_open(kept, SECUREMEM_WRITE);
    NEED(open != NULL);
    open[0] ^= 1;
    NEED(securemem_sealed_close(kept) == 0 && securemem_sealed_close(kept) == 0);
    NEED(securemem_unseal_into(kept, into, sizeof into) == 0);
    into[0] ^= 1;
    unsigned char wanted[32];
    fill(wanted, sizeof wanted, 2);
    NEED(memcmp(into, wanted, sizeof into) == 0);
    return 0;
}

static void what_was_open_at_a_fork_is_closed_in_the_child(void **state)
{
    (void)state;
    wiped = sealed_of(32, 1, 0);
    kept = sealed_of(32, 2, SECUREMEM_SEAL_KEEP);
    assert_non_null(securemem_sealed_open(wiped, SECUREMEM_WRITE));
    assert_non_null(securemem_sealed_open(kept, SECUREMEM_READ));
    CHILD_PASSES(forked_while_open, NULL);
    assert_int_equal(securemem_sealed_close(wiped), 0);
    assert_int_equal(securemem_sealed_close(kept), 0);
    assert_true(holds(wiped, 32, 1) && holds(kept, 32, 2));
    securemem_sealed_free(wiped);
    securemem_sealed_free(kept);
}

/* Other threads are in the midst of sealing, rotating and opening when a fork happens. */
static void a_fork_beside_working_threads_can_seal_and_open(void **state)
{
    (void)state;
    unsigned char zeros[64] = {0};
    for (size_t i = 0; i < COMMON; i++) {
        common[i].sealed = securemem_seal(zeros, sizeof zeros, SECUREMEM_SEAL_KEEP);
        pthread_mutex_init(&common[i].writing, NULL);
    }
    atomic_store(&ending, false);
    pthread_t threads[2], rotating;
    assert_int_equal(pthread_create(&rotating, NULL, rotate, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (size_t i = 0, forks = paced(40); i < forks; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            unsigned char into[64];
            for (size_t k = 0; k < COMMON; k++)
                NEED(securemem_unseal_into(common[k].sealed, into, sizeof into) == 0);
            for (size_t k = 0; k < 30; k++) {
                securemem_sealed *own = sealed_of(32, k, 0);
                NEED(holds(own, 32, k));
                NEED(securemem_sealed_rotate() == 0);
                securemem_sealed_free(own);
            }
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    atomic_store(&ending, true);
    pthread_join(rotating, NULL);
    for (size_t i = 0; i < COMMON; i++)
        securemem_sealed_free(common[i].sealed);
}

/* Nor does it wait for a thread of the parent, which is in the midst of unsealing it. */
static unsigned char large[1 << 20], larger[1 << 20];

static void *unseal_large(void *argument)
{
    while (!atomic_load(&ending))
        NEED(securemem_unseal_into(argument, larger, sizeof larger) == 0);
    return NULL;
}

static int write_in_child(void *argument)
{
    alarm(20); /* for one that waits */
    unsigned char *open = securemem_sealed_open(argument, SECUREMEM_WRITE);
    NEED(open != NULL);
    open[1] = 1;
    NEED(securemem_sealed_close(argument) == 0);
    NEED(securemem_unseal_into(argument, large, sizeof large) == 0 && large[1] == 1);
    return 0;
}

static void a_child_seals_anew_what_a_thread_was_unsealing(void **state)
{
    (void)state;
    securemem_sealed *sealed = securemem_seal(large, sizeof large, SECUREMEM_SEAL_KEEP);
    assert_non_null(sealed);
    atomic_store(&ending, false);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, unseal_large, sealed), 0);
    for (size_t i = 0, forks = paced(20); i < forks; i++)
        CHILD_PASSES(write_in_child, sealed);
    atomic_store(&ending, true);
    pthread_join(thread, NULL);
    securemem_sealed_free(sealed);
}

/*
 * A thread of real time closes what one of none, which it keeps from its processor, is in
 * the midst of unsealing. Waiting for it without a sleep would take a second of processor
 * time (sched_rt_runtime_us, sched(7)), or for ever; with one it takes little more than
 * where there is nobody to wait for, which in an emulated machine may be a second, too.
 */
#define CLOSINGS 5

static bool run_on_one_processor(void)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return false;
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* Seconds of the processor that this thread has had. */
static double processor_time(void)
{
    struct timespec used = {0};
    NEED(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double time_of_closings(securemem_sealed *sealed)
{
    const struct timespec pause = {.tv_nsec = 3000000};
    double start = processor_time();
    for (unsigned i = 0; i < CLOSINGS; i++) {
        NEED(securemem_sealed_open(sealed, SECUREMEM_WRITE) != NULL);
        nanosleep(&pause, NULL); /* in which another goes on */
        NEED(securemem_sealed_close(sealed) == 0);
    }
    return processor_time() - start;
}

static int close_in_real_time(void *argument)
{
    const struct sched_param priority = {.sched_priority = 5};
    pthread_t thread;
    if (!run_on_one_processor())
        return SKIP_EXIT;
    double alone = time_of_closings(argument);
    atomic_store(&ending, false);
    NEED(pthread_create(&thread, NULL, unseal_large, argument) == 0);
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0)
        return SKIP_EXIT;
    NEED(time_of_closings(argument) < 3 * alone + 0.5);
    return 0;
}

static void closing_in_real_time_lets_those_run_that_it_waits_for(void **state)
{
    (void)state;
    securemem_sealed *sealed = securemem_seal(large, sizeof large, SECUREMEM_SEAL_KEEP);
    assert_non_null(sealed);
    CHILD_PASSES(close_in_real_time, sealed);
    securemem_sealed_free(sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            where_none_is_left_sealing_goes_on_without), /* first: no key yet */
        cmocka_unit_test(a_protection_key_closes_sealing_keys_to_all_but_the_cipher),
        cmocka_unit_test(rotation_seals_everything_anew_in_the_course_of_calls),
        cmocka_unit_test(an_old_key_ends_with_what_is_sealed_under_it),
        cmocka_unit_test(what_is_open_is_sealed_anew_when_it_is_closed),
        cmocka_unit_test(what_is_open_keeps_no_other_from_being_sealed_anew),
        cmocka_unit_test(an_altered_one_is_left_behind),
        cmocka_unit_test(a_key_that_has_sealed_enough_is_exchanged),
        cmocka_unit_test(threads_find_what_they_sealed_while_keys_are_rotated),
        cmocka_unit_test(what_is_unsealed_while_it_is_sealed_anew_is_whole),
        cmocka_unit_test(scopes_of_threads_are_counted_to_their_limit),
        cmocka_unit_test(a_child_opens_what_was_kept_and_seals_with_keys_of_its_own),
        cmocka_unit_test(what_was_open_at_a_fork_is_closed_in_the_child),
        cmocka_unit_test(a_fork_beside_working_threads_can_seal_and_open),
        cmocka_unit_test(a_child_seals_anew_what_a_thread_was_unsealing),
        cmocka_unit_test(closing_in_real_time_lets_those_run_that_it_waits_for),
    };
    return RUN_GROUP(tests);
}
