/* SPDX-License-Identifier: ISC */
/* A line put together in a signal handler: without an allocation, cut where it is full. */
#ifndef SMEM_LINE_H
#define SMEM_LINE_H

#include <stddef.h>
#include <stdint.h>

#define SMEM_LINE_BYTES 160U

struct smem_line {
    size_t length;
    char text[SMEM_LINE_BYTES];
};

static inline void smem_line_text(struct smem_line *line, const char *text)
{
    while (*text != '\0' && line->length < SMEM_LINE_BYTES - 1)
        line->text[line->length++] = *text++;
    line->text[line->length] = '\0';
}

static inline void smem_line_number(struct smem_line *line, uintptr_t value,
                                    unsigned base)
{
    char digits[3 * sizeof value + 1];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do
        digits[--at] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    smem_line_text(line, digits + at);
}

static inline void smem_line_address(struct smem_line *line, uintptr_t address)
{
    smem_line_text(line, "0x");
    smem_line_number(line, address, 16);
}

#endif
