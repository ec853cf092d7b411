/* SPDX-License-Identifier: ISC */
/*
 * Texts go from the thread that serves to the one that ticks, and stamps come back.
 *
 *      FREE --ask--> ASKED --answer--> ANSWERED --take--> FREE
 *           server         ticker               server
 *
 * A place has one owner at any time, and its state tells who that is: there is no lock, and
 * neither thread waits for the other. A tick looks at eight places and answers one text, so
 * that what it may cost is known.
 */
#ifndef METRONOME_HANDOVER_H
#define METRONOME_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "keys.h"

#define HANDOVER_PLACES 8U

enum handover_state { HANDOVER_FREE = 0, HANDOVER_ASKED, HANDOVER_ANSWERED };

struct handover_place {
    atomic_int state;
    size_t length;
    unsigned char text[KEYS_TEXT_MAX];
    struct stamp stamp;
};

struct handover {
    size_t next; /* the ticker's own: whose turn it is */
    struct handover_place places[HANDOVER_PLACES];
};

/* The server's side. The place is free, the text has at most KEYS_TEXT_MAX bytes. */
bool handover_is_free(const struct handover *handover, size_t place);
void handover_ask(struct handover *handover, size_t place, const unsigned char *text,
                  size_t length);

/* True where there is an answer: *stamp is set, and the place is free. */
bool handover_take(struct handover *handover, size_t place, struct stamp *stamp);

/* The ticker's side: a place that was asked, in turn, or NULL; its answer is given back. */
struct handover_place *handover_next(struct handover *handover);
void handover_answer(struct handover_place *place);

#endif
