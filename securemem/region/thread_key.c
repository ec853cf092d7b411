/* SPDX-License-Identifier: ISC */
#include "region/thread_key.h"

#include "region/locks.h"

static bool make(struct smem_thread_key *key, void (*at_end)(void *value))
{
    if (atomic_load_explicit(&key->made, memory_order_acquire))
        return true;
    smem_lock_registry();
    if (!atomic_load(&key->made) && pthread_key_create(&key->key, at_end) == 0)
        atomic_store_explicit(&key->made, true, memory_order_release);
    smem_unlock_registry();
    return atomic_load(&key->made);
}

bool smem_thread_key_set(struct smem_thread_key *key, void (*at_end)(void *value),
                         void *value)
{
    return make(key, at_end) && pthread_setspecific(key->key, value) == 0;
}
