/* SPDX-License-Identifier: ISC */
#include "handover.h"

#include <string.h>

bool handover_is_free(const struct handover *handover, size_t place)
{
    return atomic_load_explicit(&handover->places[place].state, memory_order_acquire) ==
           HANDOVER_FREE;
}

void handover_ask(struct handover *handover, size_t place, const unsigned char *text,
                  size_t length)
{
    struct handover_place *own = &handover->places[place];
    memcpy(own->text, text, length);
    own->length = length;
    atomic_store_explicit(&own->state, HANDOVER_ASKED, memory_order_release);
}

bool handover_take(struct handover *handover, size_t place, struct stamp *stamp)
{
    struct handover_place *own = &handover->places[place];
    if (atomic_load_explicit(&own->state, memory_order_acquire) != HANDOVER_ANSWERED)
        return false;
    *stamp = own->stamp;
    atomic_store_explicit(&own->state, HANDOVER_FREE, memory_order_release);
    return true;
}

struct handover_place *handover_next(struct handover *handover)
{
    for (size_t i = 0; i < HANDOVER_PLACES; i++) {
        size_t at = (handover->next + i) % HANDOVER_PLACES;
        struct handover_place *place = &handover->places[at];
        if (atomic_load_explicit(&place->state, memory_order_acquire) == HANDOVER_ASKED) {
            handover->next = at + 1;
            return place;
        }
    }
    return NULL;
}

void handover_answer(struct handover_place *place)
{
    atomic_store_explicit(&place->state, HANDOVER_ANSWERED, memory_order_release);
}
