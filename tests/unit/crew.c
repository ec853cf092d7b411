/* SPDX-License-Identifier: ISC */
#include "unit/crew.h"

#include <pthread.h>

#include "support/need.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* What each has to do; NULL: nothing. */
static void (*orders[CREW])(void);
static pthread_t threads[CREW];

static void ends(void)
{
}

static void *serve(void *place)
{
    void (**order)(void) = place;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (*order == NULL)
            pthread_cond_wait(&changed, &lock);
        void (*work)(void) = *order;
        pthread_mutex_unlock(&lock);
        if (work != ends)
            work();
        pthread_mutex_lock(&lock);
        *order = NULL;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        if (work == ends)
            return NULL;
    }
}

static void start(size_t member)
{
    NEED(pthread_create(&threads[member], NULL, serve, &orders[member]) == 0);
}

static void end(size_t member)
{
    crew_do(member, ends);
    NEED(pthread_join(threads[member], NULL) == 0);
}

void crew_start(void)
{
    for (size_t i = 0; i < CREW; i++)
        start(i);
}

void crew_do(size_t member, void (*work)(void))
{
    pthread_mutex_lock(&lock);
    orders[member] = work;
    pthread_cond_broadcast(&changed);
    while (orders[member] != NULL)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void crew_replace(size_t member)
{
    end(member);
    start(member);
}

void crew_end(void)
{
    for (size_t i = 0; i < CREW; i++)
        end(i);
}
