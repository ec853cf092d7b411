/* SPDX-License-Identifier: ISC */
#include "faults/agent/scripts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/agent/fault.h"
#include "faults/agent/held.h"
#include "faults/agent/remains.h"
#include "faults/agent/turns.h"

#define START_TIME 3000 /* milliseconds, until a program runs on a busy machine */
#define PASSPHRASE "open sesame"
#define LARGE      ((size_t)40 << 10)
#define HALF       7U

static const struct span none;

/* For a while there is no trouble, and the agent goes on as if there had been none. */
static void go_on(const char *passphrase)
{
    struct talk talk = {-1};
    const char *where;
    size_t count = 99;
    bool hit = faults->hit;
    faults->armed = faults->hit = false; /* nothing is excused any more */
    if (passphrase != NULL) {
        faults->hit = true; /* it may not be locked */
        (void)talk_text(&talk, DIAL_UNLOCK, passphrase, DIAL_SUCCESS);
        faults->hit = false;
    }
    (void)talk_bare(&talk, DIAL_REMOVE_ALL, DIAL_SUCCESS);
    (void)talk_add(&talk, NOTARY_RSA, none, DIAL_SUCCESS);
    (void)talk_add(&talk, NOTARY_ECDSA, none, DIAL_SUCCESS);
    (void)talk_add(&talk, NOTARY_OTHER_ED25519, none, DIAL_SUCCESS);
    for (unsigned kind = NOTARY_OTHER_ED25519; kind < NOTARY_KEYS; kind++) {
        talk_ask_to_sign(&talk, kind);
        (void)talk_take_signature(&talk, kind, DIAL_SIGNED);
    }
    if (talk_list(&talk, &count) != DIAL_LISTED || count != 3)
        talk_violation("afterwards it has not the keys that it was given");
    faults->hit = hit;
    if (held.opened != 0)
        talk_violation("a key is open while nobody signs");
    if (held.sealed != 3)
        talk_violation("it holds other keys than those that it lists");
    if (remains_count(talk_notary, &where) != 0)
        talk_violation(where);
    talk_leave(&talk);
    faults->armed = true; /* for its end */
}

/* With a key: what is listed afterwards is what was answered. */
static void use_key(struct talk *talk, enum notary_kind kind)
{
    size_t count = 0;
    int added = talk_add(talk, kind, none, DIAL_SUCCESS);
    int listed = talk_list(talk, &count);
    if (listed == DIAL_LISTED && added != TALK_NONE && count != (added == DIAL_SUCCESS))
        talk_violation("it lists other keys than it said it took");
    talk_ask_to_sign(talk, kind);
    (void)talk_take_signature(talk, kind, DIAL_SIGNED);
    int removed = talk_remove(talk, kind, DIAL_SUCCESS);
    listed = talk_list(talk, &count);
    if (listed == DIAL_LISTED && removed == DIAL_SUCCESS && count != 0)
        talk_violation("it lists a key that it said it removed");
    if (listed == DIAL_LISTED && count != 0)
        (void)talk_bare(talk, DIAL_REMOVE_ALL, DIAL_SUCCESS);
}

void script_keys(void)
{
    static const unsigned char lifetime[] = {1, 0, 0, 0, 5};
    struct talk talk = {-1};
    for (unsigned kind = NOTARY_ED25519; kind < NOTARY_KEYS; kind++)
        if (kind != NOTARY_OTHER_ED25519)
            use_key(&talk, kind);
    size_t count = 0;
    int added = talk_add(&talk, NOTARY_ED25519, (struct span){lifetime, sizeof lifetime},
                         DIAL_SUCCESS);
    (void)turns_pass();
    if (!turns_wait() && added == DIAL_SUCCESS && !faults->plan.onward)
        talk_violation("it waits for no end of a lifetime");
    if (talk_list(&talk, &count) == DIAL_LISTED && count != 0)
        talk_violation("it lists a key beyond its lifetime");
    talk_leave(&talk);
    go_on(NULL);
}

void script_lock(void)
{
    struct talk talk = {-1};
    size_t count = 0;
    (void)talk_add(&talk, NOTARY_ED25519, none, DIAL_SUCCESS);
    int locked = talk_text(&talk, DIAL_LOCK, PASSPHRASE, DIAL_SUCCESS);
    if (talk_list(&talk, &count) == DIAL_LISTED && locked == DIAL_SUCCESS && count != 0)
        talk_violation("it lists keys while it is locked");
    talk_ask_to_sign(&talk, NOTARY_ED25519);
    (void)talk_take_signature(&talk, NOTARY_ED25519,
                              locked == DIAL_SUCCESS ? DIAL_FAILURE : DIAL_SIGNED);
    for (unsigned i = 0; i < 2; i++)
        (void)talk_text(&talk, DIAL_UNLOCK, "open wheat", DIAL_FAILURE);
    int opened = talk_text(&talk, DIAL_UNLOCK, PASSPHRASE, DIAL_SUCCESS);
    if (talk_list(&talk, &count) == DIAL_LISTED && locked == DIAL_SUCCESS &&
        opened == DIAL_FAILURE && count != 0)
        talk_violation("it lists keys though it said it is locked");
    talk_leave(&talk);
    go_on(PASSPHRASE);
}

static void ask_with(struct talk *talk, const char *program, int due)
{
    if (setenv("SSH_ASKPASS", program, 1) != 0)
        talk_violation("setenv");
    talk_ask_to_sign(talk, NOTARY_ED25519);
    (void)talk_take_signature(talk, NOTARY_ED25519, due);
}

void script_confirm(void)
{
    static const unsigned char confirm[] = {2};
    struct talk talk = {-1}, other = {-1};
    (void)talk_add(&talk, NOTARY_ED25519, (struct span){confirm, sizeof confirm},
                   DIAL_SUCCESS);
    ask_with(&talk, "/bin/true", DIAL_SIGNED);
    ask_with(&talk, "/bin/false", DIAL_FAILURE);
    ask_with(&talk, "/bin/echo", DIAL_FAILURE); /* the question, which is not "yes" */
    if (setenv("SSH_ASKPASS", getenv("SILENT"), 1) != 0) /* until it is ended */
        talk_violation("setenv");
    talk_ask_to_sign(&other, NOTARY_ED25519);
    (void)turns_pass();
    /* Until it has executed it holds what this process does, also the end of the connection. */
    struct stat silent = {.st_size = 1};
    for (unsigned i = 0; i < START_TIME && turns_has_program() && silent.st_size > 0;
         i++) {
        usleep(1000);
        (void)stat(getenv("SILENT"), &silent);
    }
    talk_leave(&other);
    (void)turns_pass();
    ask_with(&talk, "/nowhere", DIAL_FAILURE);
    talk_leave(&talk);
    go_on(NULL);
}

void script_traffic(void)
{
    static unsigned char large[LARGE];
    static const unsigned char pings[] = {0, 0, 0, 1, DIAL_LIST, 0, 0, 0, 1, DIAL_LIST};
    static const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff};
    struct talk talk = {-1}, other = {-1}, third = {-1};
    large[2] = (LARGE - 4) >> 8;
    large[4] = DIAL_EXTENSION;
    talk_send(&talk, (struct span){large, LARGE});
    (void)talk_receive(&talk, DIAL_FAILURE, NULL);
    talk_send(&other, (struct span){pings, HALF}); /* one and a half */
    (void)talk_receive(&other, DIAL_LISTED, NULL);
    talk_send(&third, (struct span){huge, sizeof huge});
    if (talk_receive(&third, DIAL_FAILURE, NULL) == DIAL_FAILURE) {
        unsigned char byte;
        (void)turns_pass();
        if (!faults->plan.onward && recv(third.fd, &byte, 1, 0) != 0)
            talk_violation("it goes on after what it cannot understand");
    }
    talk_leave(&third);
    if (other.fd >= 0) {
        talk_send(&other, (struct span){pings + HALF, sizeof pings - HALF});
        (void)talk_receive(&other, DIAL_LISTED, NULL);
    }
    talk_send(&third, (struct span){pings, sizeof pings});
    (void)talk_receive(&third, DIAL_LISTED, NULL);
    (void)talk_receive(&third, DIAL_LISTED, NULL);
    talk_send(&third, (struct span){large, LARGE / 2});
    (void)turns_pass();
    if (!faults->hit) /* it is waited for, but not for ever */
        (void)(turns_wait() && turns_pass());
    unsigned char byte;
    if (!faults->hit && third.fd >= 0 && recv(third.fd, &byte, 1, 0) != 0)
        talk_violation("it waits for the rest of a message for ever");
    talk_leave(&third);
    talk_leave(&other);
    talk_leave(&talk);
    go_on(NULL);
}

void script_brief(void)
{
    struct talk talk = {-1};
    use_key(&talk, NOTARY_ED25519);
    talk_leave(&talk);
    go_on(NULL);
}
