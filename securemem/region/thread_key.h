/* SPDX-License-Identifier: ISC */
/* A key of threads (pthread_key_create(3)) that is made when it is first needed. */
#ifndef SMEM_THREAD_KEY_H
#define SMEM_THREAD_KEY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct smem_thread_key {
    pthread_key_t key;
    atomic_bool made;
};

/*
 * From now on at_end is called at the end of the calling thread, with value. False where
 * the process has no key left, or memory is short.
 */
bool smem_thread_key_set(struct smem_thread_key *key, void (*at_end)(void *value),
                         void *value);

#endif
