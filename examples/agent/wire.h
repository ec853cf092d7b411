/* SPDX-License-Identifier: ISC */
/*
 * The encodings of RFC 4251, section 5, read from a span, which each call shortens by what
 * it took. False where the span ends too early, or holds another form: it is then spoilt,
 * and the message with it.
 */
#ifndef AGENT_WIRE_H
#define AGENT_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

bool wire_u8(struct span *in, uint8_t *value);
bool wire_u32(struct span *in, uint32_t *value);

/* A string stays where it is. */
bool wire_string(struct span *in, struct span *string);

/* The bytes of an mpint in a string, without leading zeros. One below 1 is refused. */
bool wire_positive(struct span string, struct span *number);

bool wire_is(struct span string, const char *text);

#endif
