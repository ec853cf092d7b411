/* SPDX-License-Identifier: ISC */
/* Packed secrets made by one thread, freed by another, in arenas that all share. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#define THREADS 8
#define ROUNDS  4000
#define BOXES   256
#define ARENAS  2
#define SEED    UINT64_C(0x5eed)

/* Secrets on their way; the first byte of each is what fills it. */
static _Atomic(unsigned char *) boxes[BOXES];
static securemem_arena *arenas[ARENAS];

static uint64_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

static void check_and_free(unsigned char *secret)
{
    if (secret == NULL)
        return;
    size_t size = securemem_size(secret);
    NEED(size > 0 && all_bytes_are(secret, size, secret[0]));
    securemem_free(secret);
}

static unsigned char *make(uint64_t *random)
{
    size_t size =
        draw(random) % 16 == 0 ? draw(random) % 5000 + 1 : draw(random) % 300 + 1;
    unsigned char *secret = securemem_arena_alloc(arenas[draw(random) % ARENAS], size);
    NEED(secret != NULL && all_bytes_are(secret, size, 0));
    unsigned char fill = (unsigned char)(draw(random) % 255 + 1);
    memset(secret, fill, size);
    if (draw(random) % 8 != 0)
        return secret;
    size_t larger = size + draw(random) % 200;
    secret = securemem_realloc(secret, larger);
    NEED(secret != NULL && all_bytes_are(secret, size, fill));
    memset(secret, fill, larger);
    return secret;
}

static void *work(void *argument)
{
    uint64_t random = SEED + (uintptr_t)argument;
    for (size_t i = 0, rounds = paced(ROUNDS); i < rounds; i++) {
        unsigned char *secret = make(&random);
        check_and_free(atomic_exchange(&boxes[draw(&random) % BOXES], secret));
        if (i % 100 == 99)
            NEED(securemem_arena_trim(arenas[draw(&random) % ARENAS]) == 0);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void secrets_keep_their_bytes_whoever_frees_them(void **state)
{
    (void)state;
    printf("seed %#lx\n", (unsigned long)SEED);
    size_t locked = view_locked_bytes(), secrets = budget_now().secrets;
    for (size_t i = 0; i < ARENAS; i++)
        arenas[i] = arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED,
                                                       .idle = i == 0 ? SIZE_MAX : 0});
    run_threads();
    for (size_t i = 0; i < ARENAS; i++)
        assert_int_equal(securemem_arena_check(arenas[i]), 0);
    for (size_t i = 0; i < BOXES; i++)
        check_and_free(atomic_exchange(&boxes[i], NULL));
    assert_int_equal(budget_now().secrets, secrets);
    for (size_t i = 0; i < ARENAS; i++)
        assert_int_equal(securemem_arena_trim(arenas[i]), 0);
    assert_int_equal(view_locked_bytes(), locked);
    for (size_t i = 0; i < ARENAS; i++)
        securemem_arena_destroy(arenas[i]);
    assert_int_equal(view_locked_bytes(), locked);
}

/* A child that was forked in the middle of it may use and free all that it inherited. */
static int fork_beside_threads(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < ARENAS; i++)
        arenas[i] = arena_of((securemem_arena_options){
            .placement = SECUREMEM_PACKED,
            .fork = i == 0 ? SECUREMEM_FORK_KEEP : SECUREMEM_FORK_WIPE});
    pthread_t threads[2];
    for (uintptr_t i = 0; i < 2; i++)
        NEED(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < 20; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            uint64_t random = SEED;
            for (int k = 0; k < 200; k++)
                securemem_free(make(&random));
            for (size_t k = 0; k < BOXES; k++)
                securemem_free(atomic_exchange(&boxes[k], NULL));
            for (size_t k = 0; k < ARENAS; k++)
                securemem_arena_destroy(arenas[k]);
            NEED(view_locked_bytes() == 0);
            _exit(0);
        }
        NEED(waitpid(pid, &status, 0) == pid && status == 0);
    }
    for (size_t i = 0; i < 2; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    return 0;
}

static void a_child_forked_beside_working_threads_is_whole(void **state)
{
    (void)state;
    CHILD_PASSES(fork_beside_threads, NULL);
}

static atomic_bool over;

/* Sizes of one class, so that a place is used again with fewer bytes. */
static void *come_and_go(void *argument)
{
    uint64_t random = SEED + (uintptr_t)argument;
    while (!atomic_load(&over)) {
        size_t size = draw(&random) % 15 + 73;
        unsigned char *secret = securemem_arena_alloc(arenas[0], size);
        NEED(secret != NULL);
        memset(secret, 1, size);
        if (draw(&random) % 4 == 0)
            NEED(securemem_realloc(secret, draw(&random) % 15 + 73) == secret);
        securemem_free(secret);
    }
    return NULL;
}

static int wipe_beside_threads(void *argument)
{
    (void)argument;
    arenas[0] = arena_of((securemem_arena_options){.placement = SECUREMEM_PACKED});
    pthread_t threads[2];
    for (uintptr_t i = 0; i < 2; i++)
        NEED(pthread_create(&threads[i], NULL, come_and_go, (void *)i) == 0);
    for (size_t i = 0, times = paced(20000); i < times; i++)
        NEED(securemem_wipe_all() == 0 && securemem_arena_check(arenas[0]) == 0);
    atomic_store(&over, true);
    for (size_t i = 0; i < 2; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    char *secret = securemem_arena_alloc(arenas[0], 80);
    NEED(secret != NULL);
    secret[80] = 'x';
    fputs("planted\n", stderr);
    securemem_free(secret); /* aborts */
    return 0;
}

/* A wiper that comes late zeroes bytes which are canary by then. Others are still told. */
static void wipe_all_beside_packed_secrets_breaks_no_canary(void **state)
{
    (void)state;
    struct child_end end;
    child_run(wipe_beside_threads, NULL, &end);
    print_message("%s", end.errors);
    assert_int_equal(end.signal, SIGABRT);
    assert_int_equal(strncmp(end.errors, "planted\n", 8), 0);
    assert_non_null(strstr(end.errors, "overwritten"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_keep_their_bytes_whoever_frees_them),
        cmocka_unit_test(a_child_forked_beside_working_threads_is_whole),
        cmocka_unit_test(wipe_all_beside_packed_secrets_breaks_no_canary),
    };
    return RUN_GROUP(tests);
}
