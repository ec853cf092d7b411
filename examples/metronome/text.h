/* SPDX-License-Identifier: ISC */
/* A text that grows in memory which is there: no allocation, no stdio. */
#ifndef METRONOME_TEXT_H
#define METRONOME_TEXT_H

#include <stddef.h>

#define TEXT_BYTES ((size_t)64 * 1024)

struct text {
    size_t length;
    char bytes[TEXT_BYTES]; /* no terminator belongs to the text */
};

/* Adds to the end; what does not fit is left out whole. */
__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format,
                                                    ...);

#endif
