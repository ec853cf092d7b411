/* SPDX-License-Identifier: ISC */
/*
 * A server that answers with as many bytes as a request claims to have sent, from where it
 * says that they are: what Heartbleed (CVE-2014-0160) did, with an offset so that nothing
 * stands between. Keys lie open in an ordinary arena, and behind a protection key.
 */
#include <pthread.h>
#include <securemem.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "support/child.h"
#include "support/keys.h"
#include "support/need.h"
#include "support/skip.h"

#define SECRETS 16
#define SIZE    48
#define MARK    0x5a

/* Who reads, and where from. */
enum reader { OTHER_THREAD, SAME_THREAD_OUTSIDE, SIGNAL_HANDLER, SAME_THREAD_INSIDE };
static const char *const readers[] = {
    "another thread while a scope is open",
    "the same thread outside of its scope",
    "a signal handler inside of the scope",
    "the same thread inside of its scope",
};
static const char *const placements[] = {"guarded", "packed"};

static struct server {
    const unsigned char *payload; /* of the request, in ordinary memory */
    ptrdiff_t claimed;            /* where the answer begins */
    volatile unsigned char answer[SIZE];
    pthread_barrier_t opened;
} server;

static void answer_request(void)
{
    for (size_t i = 0; i < SIZE; i++)
        server.answer[i] = server.payload[server.claimed + (ptrdiff_t)i];
}

static void answer_in_handler(int signal)
{
    (void)signal;
    answer_request();
}

static void *answer_in_thread(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&server.opened);
    answer_request();
    return NULL;
}

struct attack {
    securemem_policy key;
    securemem_placement placement;
    enum reader reader;
    size_t target; /* which of the secrets */
};

/* The scope in which the program itself uses its keys. */
static bool enter(const struct attack *attack, securemem_arena *arena)
{
    return attack->key == SECUREMEM_OFF ||
           securemem_arena_open(arena, SECUREMEM_WRITE) == 0;
}

static bool leave(const struct attack *attack, securemem_arena *arena)
{
    return attack->key == SECUREMEM_OFF || securemem_arena_close(arena) == 0;
}

static int answer_once(void *argument)
{
    const struct attack *attack = argument;
    static unsigned char payload[1];
    unsigned char *secrets[SECRETS];
    securemem_arena *arena = securemem_arena_create(&(securemem_arena_options){
        .protection_key = attack->key, .placement = attack->placement});
    NEED(arena != NULL);
    for (size_t i = 0; i < SECRETS; i++)
        NEED((secrets[i] = securemem_arena_alloc(arena, SIZE)) != NULL);
    pthread_t thread;
    if (attack->reader == OTHER_THREAD) {
        NEED(pthread_barrier_init(&server.opened, NULL, 2) == 0);
        NEED(pthread_create(&thread, NULL, answer_in_thread, NULL) == 0);
    }
    NEED(enter(attack, arena));
    for (size_t i = 0; i < SECRETS; i++)
        memset(secrets[i], MARK, SIZE);
    server.payload = payload;
    server.claimed = (ptrdiff_t)((uintptr_t)secrets[attack->target] - (uintptr_t)payload);
    switch (attack->reader) {
    case OTHER_THREAD:
        pthread_barrier_wait(&server.opened);
        pthread_join(thread, NULL);
        break;
    case SAME_THREAD_OUTSIDE:
        NEED(leave(attack, arena));
        answer_request();
        break;
    case SIGNAL_HANDLER:
        NEED(signal(SIGUSR1, answer_in_handler) != SIG_ERR);
        raise(SIGUSR1);
        break;
    case SAME_THREAD_INSIDE:
        answer_request();
        break;
    }
    for (size_t i = 0; i < SIZE; i++)
        NEED(server.answer[i] == MARK);
    return 0;
}

/* How many of the secrets an over-read gives; the others are a fault of the kernel's. */
static size_t read_by(struct attack attack)
{
    size_t got = 0;
    for (attack.target = 0; attack.target < SECRETS; attack.target++) {
        struct child_end end;
        child_run(answer_once, &attack, &end);
        if (end.signal == 0)
            assert_int_equal(end.exit_code, 0);
        else
            assert_true(end.signal == SIGSEGV && end.fault_code == KEYS_SEGV_PKUERR);
        got += end.signal == 0;
    }
    return got;
}

static void an_over_read_gets_every_secret_that_lies_open(void **state)
{
    (void)state;
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        for (enum reader r = OTHER_THREAD; r <= SAME_THREAD_INSIDE; r++) {
            size_t got = read_by((struct attack){
                .key = SECUREMEM_OFF, .placement = (securemem_placement)p, .reader = r});
            printf("NOTE: %s, %s: %zu of %d without a key\n", placements[p], readers[r],
                   got, SECRETS);
            assert_int_equal(got, SECRETS);
        }
}

static void behind_a_protection_key_it_gets_none(void **state)
{
    (void)state;
    if (!keys_exist())
        SKIP("this processor has no protection keys, or the kernel does not use them");
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++)
        for (enum reader r = OTHER_THREAD; r <= SAME_THREAD_INSIDE; r++) {
            size_t got = read_by((struct attack){.key = SECUREMEM_REQUIRED,
                                                 .placement = (securemem_placement)p,
                                                 .reader = r});
            printf("NOTE: %s, %s: %zu of %d behind a key\n", placements[p], readers[r],
                   got, SECRETS);
            assert_int_equal(got, r == SAME_THREAD_INSIDE ? SECRETS : 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_over_read_gets_every_secret_that_lies_open),
        cmocka_unit_test(behind_a_protection_key_it_gets_none),
    };
    return RUN_GROUP(tests);
}
