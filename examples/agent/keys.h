/* SPDX-License-Identifier: ISC */
/* The keys of an agent, in the order that they came in. */
#ifndef AGENT_KEYS_H
#define AGENT_KEYS_H

#include "key.h"

#define KEYS_MOST 2048U /* as many as OpenSSH's clients take in a list */

struct keys {
    struct key *first;
    size_t count;
    uint64_t next; /* no key's time is over before */
};

/* Takes the key over, in the place of one with the same public half. False: it is full. */
bool keys_add(struct keys *keys, struct key *key);

/* The key of this public half; NULL: none. */
struct key *keys_find(const struct keys *keys, struct span blob);

/* Whether there was one. */
bool keys_remove(struct keys *keys, struct span blob);

void keys_remove_all(struct keys *keys);

/* Removes those whose time is over; when the next one's is, KEY_FOR_EVER: none's. */
uint64_t keys_expire(struct keys *keys, uint64_t now);

#endif
