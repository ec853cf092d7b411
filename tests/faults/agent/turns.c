/* SPDX-License-Identifier: ISC */
#include "faults/agent/turns.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "faults/agent/fault.h"
#include "support/need.h"

#define BUSY_MOST       300   /* turns of the agent without a rest */
#define PROGRAM_TIME    15000 /* milliseconds, for one that it waits for */
#define COMPANION_TIME  10000
#define FIRST_MILLISECS 1000000U
#define STACK_BYTES     ((size_t)256 << 10)

enum wish { WISH_PASS, WISH_WAIT, WISH_END };

static void (*client)(void);
static bool has_companion, begun;
static sem_t agent_may, client_may;
static pthread_t thread;
static enum wish wish;
static bool rested, waited;
static uint64_t milliseconds = FIRST_MILLISECS;

void turns_plan(void (*what)(void), bool companion)
{
    client = what;
    has_companion = companion;
}

static void *be_client(void *unused)
{
    (void)unused;
    NEED(sem_wait(&client_may) == 0);
    client();
    faults->finished = true;
    wish = WISH_END;
    NEED(sem_post(&agent_may) == 0);
    return NULL;
}

static void give_turn(void)
{
    if (!begun) {
        NEED(sem_init(&agent_may, 0, 0) == 0 && sem_init(&client_may, 0, 0) == 0);
        pthread_attr_t small; /* it is looked through */
        NEED(pthread_attr_init(&small) == 0 &&
             pthread_attr_setstacksize(&small, STACK_BYTES) == 0);
        NEED(pthread_create(&thread, &small, be_client, NULL) == 0);
        begun = faults->served = true;
    }
    NEED(sem_post(&client_may) == 0 && sem_wait(&agent_may) == 0);
    if (wish == WISH_END)
        NEED(pthread_join(thread, NULL) == 0);
}

static void take_turn(enum wish what)
{
    wish = what;
    NEED(sem_post(&agent_may) == 0 && sem_wait(&client_may) == 0);
}

bool turns_pass(void)
{
    take_turn(WISH_PASS);
    return rested;
}

bool turns_wait(void)
{
    take_turn(WISH_WAIT);
    return waited;
}

bool turns_has_program(void)
{
    siginfo_t how;
    return waitid(P_ALL, 0, &how, WEXITED | WNOHANG | WNOWAIT) == 0;
}

int __real_epoll_wait(int fd, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    static const int codes[] = {EINTR, EINVAL};
    static unsigned busy;
    int variant = fault_take("epoll_wait", FAULT_LENGTH(codes));
    if (variant >= 0 && (codes[variant] != EINTR || ++busy < BUSY_MOST)) {
        errno = codes[variant];
        return -1;
    }
    while (wish != WISH_END) {
        int ready = __real_epoll_wait(fd, events, most, 0);
        if (ready != 0 && ++busy < BUSY_MOST)
            return ready;
        rested = ready == 0;
        busy = 0;
        give_turn();
        if (wish == WISH_END)
            break;
        if (wish != WISH_WAIT)
            continue;
        waited = true;
        if (timeout >= 0) {
            milliseconds += (uint64_t)timeout;
            return 0;
        }
        ready =
            turns_has_program() ? __real_epoll_wait(fd, events, most, PROGRAM_TIME) : 0;
        if (ready > 0)
            return ready;
        waited = false;
    }
    if (!has_companion)
        NEED(raise(SIGTERM) == 0);
    int ready = __real_epoll_wait(fd, events, most, COMPANION_TIME);
    NEED(ready > 0); /* it ends */
    return ready;
}

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!fault_counts)
        return __real_clock_gettime(clock, out);
    if (fault_take("clock_gettime", 1) >= 0) {
        errno = EINVAL;
        return -1;
    }
    *out = (struct timespec){.tv_sec = (time_t)(milliseconds / 1000),
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    return 0;
}
