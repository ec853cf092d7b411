/* SPDX-License-Identifier: ISC */
#include "agent.h"

#include "wire.h"

/* Types of messages: draft-miller-ssh-agent, section 5.1. */
enum {
    FAILURE = 5,
    SUCCESS = 6,
    LIST = 11,
    LISTED = 12,
    SIGN = 13,
    SIGNED = 14,
    ADD = 17,
    REMOVE = 18,
    REMOVE_ALL = 19,
    LOCK = 22,
    UNLOCK = 23,
    ADD_CONSTRAINED = 25
};

/* Section 5.2. */
enum { CONSTRAIN_LIFETIME = 1, CONSTRAIN_CONFIRM = 2 };

#define SECOND 1000U /* milliseconds */

#define BARE_BYTES 5U /* of a reply that is only a type */

static enum outcome answer(struct reply *reply, uint8_t type)
{
    size_t begun = reply_begin(reply);
    reply_u8(reply, type);
    reply_end(reply, begun);
    return OUTCOME_ANSWERED;
}

void agent_refuse(struct reply *reply)
{
    (void)answer(reply, FAILURE);
}

static enum outcome list(const struct keys *keys, bool locked, struct reply *reply)
{
    size_t begun = reply_begin(reply);
    reply_u8(reply, LISTED);
    reply_u32(reply, locked ? 0 : (uint32_t)keys->count);
    for (const struct key *key = locked ? NULL : keys->first; key != NULL;
         key = key->next) {
        reply_string(reply, reply_span(&key->blob));
        reply_string(reply, reply_span(&key->comment));
    }
    reply_end(reply, begun);
    return OUTCOME_ANSWERED;
}

/* Whoever reads it should not be deceived by what a comment contains. */
static void add_printable(struct reply *question, struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        reply_u8(question, text.at[i] < ' ' || text.at[i] == '\x7f' ? '?' : text.at[i]);
}

static void add_text(struct reply *question, const char *text)
{
    reply_bytes(question, (struct span){(const unsigned char *)text, strlen(text)});
}

static enum outcome ask(const struct key *key, struct request *request)
{
    char fingerprint[KEY_FINGERPRINT_SIZE];
    key_fingerprint(key, fingerprint);
    add_text(&request->question, "Allow use of key ");
    add_printable(&request->question, reply_span(&key->comment));
    add_text(&request->question, "?\nKey fingerprint ");
    add_text(&request->question, fingerprint);
    add_text(&request->question, ".");
    reply_u8(&request->question, '\0');
    return OUTCOME_CONFIRM;
}

static enum outcome sign(struct agent *agent, struct span rest, struct request *request,
                         struct reply *reply)
{
    struct span blob, data;
    uint32_t flags;
    if (!wire_string(&rest, &blob) || !wire_string(&rest, &data) ||
        !wire_u32(&rest, &flags) || rest.size != 0 ||
        (flags & ~(KIND_RSA_SHA2_256 | KIND_RSA_SHA2_512)) != 0)
        return answer(reply, FAILURE);
    const struct key *key = keys_find(&agent->keys, blob);
    if (key == NULL)
        return answer(reply, FAILURE);
    if (key->confirm && !request->confirmed)
        return ask(key, request);
    size_t begun = reply_begin(reply);
    reply_u8(reply, SIGNED);
    size_t signature = reply_begin(reply);
    if (!key_sign(key, data, flags, reply)) {
        reply->size = begun;
        return answer(reply, FAILURE);
    }
    reply_end(reply, signature);
    reply_end(reply, begun);
    return OUTCOME_ANSWERED;
}

/*
 * One that is unknown would be a promise that nobody keeps, and of two lifetimes one is not
 * kept: both are refused, the second as OpenSSH does.
 */
static bool constrain(struct span rest, uint64_t now, struct key *key)
{
    bool has_lifetime = false;
    while (rest.size > 0) {
        uint8_t constraint;
        uint32_t seconds;
        if (!wire_u8(&rest, &constraint))
            return false;
        if (constraint == CONSTRAIN_CONFIRM && !key->confirm) {
            key->confirm = true;
        } else if (constraint == CONSTRAIN_LIFETIME && !has_lifetime &&
                   wire_u32(&rest, &seconds)) {
            key->until = now + (uint64_t)seconds * SECOND;
            has_lifetime = true;
        } else {
            return false;
        }
    }
    return true;
}

static bool add(struct agent *agent, struct span rest, bool constrained, uint64_t now)
{
    struct key *key = key_read(&rest);
    if (key == NULL)
        return false;
    if (agent->lifetime > 0)
        key->until = now + agent->lifetime;
    if ((constrained ? constrain(rest, now, key) : rest.size == 0) &&
        keys_add(&agent->keys, key))
        return true;
    key_free(key);
    return false;
}

static bool remove_one(struct agent *agent, struct span rest)
{
    struct span blob;
    return wire_string(&rest, &blob) && rest.size == 0 && keys_remove(&agent->keys, blob);
}

static bool remove_all(struct agent *agent, struct span rest)
{
    if (rest.size != 0)
        return false;
    keys_remove_all(&agent->keys);
    return true;
}

static bool close_lock(struct agent *agent, struct span rest)
{
    struct span passphrase;
    return wire_string(&rest, &passphrase) && rest.size == 0 &&
           lock_close(&agent->lock, passphrase);
}

static enum outcome open_lock(struct agent *agent, struct span rest,
                              struct request *request, struct reply *reply)
{
    struct span passphrase;
    if (!wire_string(&rest, &passphrase) || rest.size != 0)
        return answer(reply, FAILURE);
    if (request->now < agent->lock.not_before) {
        request->later = agent->lock.not_before;
        return OUTCOME_LATER;
    }
    bool opened = lock_open(&agent->lock, passphrase, request->now);
    return answer(reply, opened ? SUCCESS : FAILURE);
}

static enum outcome serve(struct agent *agent, uint8_t type, struct span rest,
                          struct request *request, struct reply *reply)
{
    bool locked = agent->lock.hash != NULL, done = false;
    if (type == LIST && rest.size == 0)
        return list(&agent->keys, locked, reply);
    if (type == UNLOCK)
        return open_lock(agent, rest, request, reply);
    if (locked)
        return answer(reply, FAILURE);
    if (type == SIGN)
        return sign(agent, rest, request, reply);
    if (type == ADD || type == ADD_CONSTRAINED)
        done = add(agent, rest, type == ADD_CONSTRAINED, request->now);
    else if (type == REMOVE)
        done = remove_one(agent, rest);
    else if (type == REMOVE_ALL)
        done = remove_all(agent, rest);
    else if (type == LOCK)
        done = close_lock(agent, rest);
    return answer(reply, done ? SUCCESS : FAILURE);
}

enum outcome agent_answer(struct agent *agent, struct request *request,
                          struct reply *reply)
{
    uint8_t type;
    struct span rest = request->message;
    size_t before = reply->size;
    (void)keys_expire(&agent->keys, request->now);
    if (!reply_reserve(reply, BARE_BYTES)) /* nothing is done that could not be told */
        return OUTCOME_ANSWERED;
    if (!wire_u8(&rest, &type))
        return answer(reply, FAILURE);
    enum outcome outcome = serve(agent, type, rest, request, reply);
    if (!reply->failed)
        return outcome;
    reply->failed = false; /* for what was too much: a failure has its room */
    reply->size = before;
    return answer(reply, FAILURE);
}

void agent_end(struct agent *agent)
{
    keys_remove_all(&agent->keys);
    lock_end(&agent->lock);
}
