/* SPDX-License-Identifier: ISC */
/* Many threads at once, for a number of rounds and not for a time. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "unit/unit.h"

#define THREADS 8
#define ROUNDS  300
#define BOXES   32
#define SHARED  3

struct worker {
    pthread_t thread;
    unsigned number;
    unsigned random;
    const char *failure; /* what did not hold; NULL: nothing */
};

/* Secrets on their way from the thread that made them to the one that frees them. */
static _Atomic(char *) boxes[BOXES];
static securemem_arena *shared[SHARED];

/* Like NEED, but the threads go on: names the first thing that did not hold. */
#define HOLDS(worker, condition)                                                         \
    do {                                                                                 \
        if (!(condition) && (worker)->failure == NULL)                                   \
            (worker)->failure = #condition;                                              \
    } while (0)

static unsigned draw(struct worker *w)
{
    w->random = w->random * 1664525U + 1013904223U;
    return w->random >> 8;
}

/* Opens, writes, reads, closes; the secret is this thread's for the moment. */
static void use(struct worker *w, char *secret)
{
    size_t size = securemem_size(secret);
    HOLDS(w, securemem_open(secret, SECUREMEM_WRITE) == 0);
    if (w->failure != NULL)
        return;
    memset(secret, (int)w->number, size);
    HOLDS(w, all_bytes_are(secret, size, (unsigned char)w->number));
    HOLDS(w, securemem_close(secret) == 0);
}

static char *make(struct worker *w, securemem_arena *own)
{
    unsigned which = draw(w) % (SHARED + 2);
    size_t size = draw(w) % 6000 + 1;
    char *secret = which < SHARED    ? securemem_arena_alloc(shared[which], size)
                   : which == SHARED ? securemem_arena_alloc(own, size)
                                     : securemem_alloc(size);
    HOLDS(w, secret != NULL);
    if (secret == NULL)
        return NULL;
    HOLDS(w, all_bytes_are(secret, size, 0));
    HOLDS(w, securemem_set_access(secret, SECUREMEM_NONE) == 0);
    use(w, secret);
    return secret;
}

static void one_round(struct worker *w, securemem_arena *own)
{
    char *secret = make(w, own);
    if (secret == NULL)
        return;
    if (draw(w) % 4 == 0) {
        char *moved = securemem_realloc(secret, draw(w) % 9000 + 1);
        HOLDS(w, moved != NULL);
        secret = moved != NULL ? moved : secret;
        use(w, secret);
    }
    if (draw(w) % 8 == 0) {
        char *copy = securemem_dup(secret);
        HOLDS(w, copy != NULL);
        securemem_free(copy);
    }
    char *other = atomic_exchange(&boxes[draw(w) % BOXES], secret);
    if (other == NULL)
        return;
    use(w, other);
    securemem_free(other);
}

static void empty_boxes(void)
{
    for (size_t i = 0; i < BOXES; i++)
        securemem_free(atomic_exchange(&boxes[i], NULL));
}

static void start(struct worker *workers, void *(*body)(void *))
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i + 1, .random = i * 7919};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
    }
}

static void join(struct worker *workers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].failure != NULL)
            fail_msg("thread %u: %s", i, workers[i].failure);
    }
}

/* Own arenas outlive their threads: other threads may still hold secrets of them. */
static securemem_arena *own_arenas[THREADS];

static void *work(void *argument)
{
    struct worker *w = argument;
    for (size_t i = 0, rounds = paced(ROUNDS); i < rounds; i++) {
        one_round(w, own_arenas[w->number - 1]);
        if (i % 50 == 0)
            HOLDS(w, securemem_arena_trim(shared[draw(w) % SHARED]) == 0);
    }
    return NULL;
}

static void threads_share_arenas_and_free_each_others_secrets(void **state)
{
    (void)state;
    securemem_guard_kind kinds[2];
    size_t count = guard_kinds(kinds), secrets = budget_now().secrets;
    for (size_t i = 0; i < SHARED; i++)
        shared[i] = arena_of((securemem_arena_options){
            .guard_kind = kinds[i % count],
            .idle = i == 0 ? SIZE_MAX : 8 * (i - 1) * view_page_size()});
    for (size_t i = 0; i < THREADS; i++)
        own_arenas[i] = arena_of((securemem_arena_options){.idle = SIZE_MAX});
    struct worker workers[THREADS];
    start(workers, work);
    join(workers);
    empty_boxes();
    for (size_t i = 0; i < SHARED; i++)
        securemem_arena_destroy(shared[i]);
    for (size_t i = 0; i < THREADS; i++)
        securemem_arena_destroy(own_arenas[i]);
    assert_int_equal(budget_now().secrets, secrets);
    assert_int_equal(budget_now().charged, view_locked_bytes());
    assert_int_equal(view_locked_bytes(), 0);
}

static void *create_and_destroy(void *argument)
{
    struct worker *w = argument;
    for (size_t i = 0, rounds = paced(ROUNDS); i < rounds; i++) {
        securemem_arena *arena = securemem_arena_create(NULL);
        HOLDS(w, arena != NULL);
        if (arena == NULL)
            break;
        for (int j = 0; j < 3; j++) {
            char *secret = securemem_arena_alloc(arena, draw(w) % 5000 + 1);
            HOLDS(w, secret != NULL);
            if (secret != NULL)
                use(w, secret);
        }
        securemem_arena_destroy(arena);
    }
    return NULL;
}

static void arenas_come_and_go_in_many_threads(void **state)
{
    (void)state;
    struct worker workers[THREADS];
    size_t secrets = budget_now().secrets;
    start(workers, create_and_destroy);
    join(workers);
    assert_int_equal(budget_now().secrets, secrets);
    assert_int_equal(view_locked_bytes(), 0);
}

static void *report_and_fail(void *argument)
{
    struct worker *w = argument;
    for (size_t i = 0, rounds = paced(ROUNDS); i < rounds; i++) {
        size_t size = (size_t)w->number << 52;
        HOLDS(w, securemem_alloc_array(size, 1U << 20) == NULL);
        const securemem_error *error = securemem_last_error();
        HOLDS(w, strcmp(error->operation, "securemem_alloc_array") == 0);
        HOLDS(w, securemem_open(w, SECUREMEM_READ) != 0);
        HOLDS(w, strcmp(securemem_last_error()->operation, "securemem_open") == 0);
        HOLDS(w, securemem_last_error() == error);
    }
    return NULL;
}

static void every_thread_has_a_last_error_of_its_own(void **state)
{
    (void)state;
    struct worker workers[THREADS];
    start(workers, report_and_fail);
    join(workers);
}

/*
 * Threads whose accesses never meet a secret that is being opened or closed: what is left
 * to meet the wiper is the library's own work, which must survive it.
 */
static void *open_and_close_beside_the_wiper(void *argument)
{
    struct worker *w = argument;
    char *lasting = securemem_alloc(100);
    HOLDS(w, lasting != NULL);
    for (size_t i = 0, rounds = paced(ROUNDS); i < rounds && lasting != NULL; i++) {
        HOLDS(w, securemem_open(lasting, SECUREMEM_READ) == 0);
        HOLDS(w, securemem_open(lasting, SECUREMEM_WRITE) == 0);
        HOLDS(w, securemem_close(lasting) == 0);
        HOLDS(w, securemem_close(lasting) == 0);
    }
    securemem_free(lasting);
    return NULL;
}

static atomic_bool wiped_enough;

static void *wipe_all(void *argument)
{
    while (!atomic_load(&wiped_enough))
        (void)securemem_wipe_all(); /* a secret that is freed meanwhile is not counted */
    return argument;
}

static int wipe_beside_threads(void *unused)
{
    (void)unused;
    struct worker workers[THREADS];
    pthread_t wiper;
    NEED(pthread_create(&wiper, NULL, wipe_all, NULL) == 0);
    start(workers, open_and_close_beside_the_wiper);
    for (unsigned i = 0; i < THREADS; i++) {
        NEED(pthread_join(workers[i].thread, NULL) == 0);
        NEED(workers[i].failure == NULL);
    }
    atomic_store(&wiped_enough, true);
    NEED(pthread_join(wiper, NULL) == 0);
    securemem_budget_report report;
    NEED(securemem_budget(&report) == 0 && report.secrets == 0);
    return 0;
}

/* In a child, so that a crash ends the child alone. */
static void wipe_all_beside_threads_that_open_and_close_does_not_crash(void **state)
{
    (void)state;
    CHILD_PASSES(wipe_beside_threads, NULL);
}

static int one, other;
static atomic_size_t mixed;

static void handle_one(const securemem_misuse *misuse, void *user)
{
    (void)misuse;
    atomic_fetch_add(&mixed, user != &one);
}

static void handle_other(const securemem_misuse *misuse, void *user)
{
    (void)misuse;
    atomic_fetch_add(&mixed, user != &other);
}

static void *change_handlers(void *argument)
{
    while (!atomic_load(&wiped_enough)) {
        securemem_set_misuse_handler(handle_one, &one);
        securemem_set_misuse_handler(handle_other, &other);
    }
    return argument;
}

static void a_misuse_handler_is_called_with_the_user_it_was_set_with(void **state)
{
    (void)state;
    pthread_t changer;
    atomic_store(&wiped_enough, false);
    securemem_set_misuse_handler(handle_one, &one);
    assert_int_equal(pthread_create(&changer, NULL, change_handlers, NULL), 0);
    for (size_t i = 0, times = paced(50000); i < times; i++)
        securemem_free(&one);
    atomic_store(&wiped_enough, true);
    assert_int_equal(pthread_join(changer, NULL), 0);
    securemem_set_misuse_handler(NULL, NULL);
    assert_int_equal(atomic_load(&mixed), 0);
}

static bool first_thread_is_there(void)
{
    char byte;
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    bool there = read(maps, &byte, 1) == 1;
    NEED(close(maps) == 0);
    return there;
}

static void *ask_for_reports(void *argument)
{
    (void)argument;
    while (first_thread_is_there())
        sched_yield();
    void *secret = securemem_alloc(32);
    securemem_protection report;
    securemem_budget_report budget;
    NEED(secret != NULL);
    NEED(securemem_protection(secret, &report) == 0);
    NEED(report.witness == SECUREMEM_WITNESS_SMAPS && report.lock.holds);
    NEED(securemem_budget(&budget) == 0 && budget.secrets == 1);
    _exit(0);
}

static int end_the_first_thread(void *argument)
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, ask_for_reports, NULL) == 0);
    (void)argument;
    pthread_exit(NULL);
}

/* /proc/self is then that of a process without memory. */
static void reports_are_there_after_the_first_thread_has_ended(void **state)
{
    (void)state;
    CHILD_PASSES(end_the_first_thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wipe_all_beside_threads_that_open_and_close_does_not_crash),
        cmocka_unit_test(threads_share_arenas_and_free_each_others_secrets),
        cmocka_unit_test(arenas_come_and_go_in_many_threads),
        cmocka_unit_test(every_thread_has_a_last_error_of_its_own),
        cmocka_unit_test(a_misuse_handler_is_called_with_the_user_it_was_set_with),
        cmocka_unit_test(reports_are_there_after_the_first_thread_has_ended),
    };
    return RUN_GROUP(tests);
}
