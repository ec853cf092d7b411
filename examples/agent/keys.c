/* SPDX-License-Identifier: ISC */
#include "keys.h"

/* Where the pointer to the key is, or to the end. */
static struct key **place_of(struct keys *keys, struct span blob)
{
    struct key **place = &keys->first;
    while (*place != NULL && !span_equal(reply_span(&(*place)->blob), blob))
        place = &(*place)->next;
    return place;
}

bool keys_add(struct keys *keys, struct key *key)
{
    struct key **place = place_of(keys, reply_span(&key->blob));
    struct key *old = *place;
    if (old == NULL && keys->count == KEYS_MOST)
        return false;
    key->next = old != NULL ? old->next : NULL;
    *place = key;
    keys->count += old == NULL;
    keys->next = key->until < keys->next ? key->until : keys->next;
    key_free(old);
    return true;
}

struct key *keys_find(const struct keys *keys, struct span blob)
{
    for (struct key *key = keys->first; key != NULL; key = key->next)
        if (span_equal(reply_span(&key->blob), blob))
            return key;
    return NULL;
}

static void remove_at(struct keys *keys, struct key **place)
{
    struct key *gone = *place;
    *place = gone->next;
    keys->count--;
    key_free(gone);
}

bool keys_remove(struct keys *keys, struct span blob)
{
    struct key **place = place_of(keys, blob);
    if (*place == NULL)
        return false;
    remove_at(keys, place);
    return true;
}

void keys_remove_all(struct keys *keys)
{
    while (keys->first != NULL)
        remove_at(keys, &keys->first);
}

uint64_t keys_expire(struct keys *keys, uint64_t now)
{
    if (now < keys->next)
        return keys->next;
    keys->next = KEY_FOR_EVER;
    struct key **place = &keys->first;
    while (*place != NULL) {
        uint64_t until = (*place)->until;
        if (until <= now) {
            remove_at(keys, place);
            continue;
        }
        keys->next = until < keys->next ? until : keys->next;
        place = &(*place)->next;
    }
    return keys->next;
}
