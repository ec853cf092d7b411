/* SPDX-License-Identifier: ISC */
#include "secret/misuse.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "region/wipe.h"

#define STANDARD_ERROR 2
#define LINE_BYTES     160
#define PREFIX         "securemem: "

/* Odd while the pair changes; who read at another number than before reads again. */
static atomic_uint changes;
static _Atomic(securemem_misuse_handler) handler;
static _Atomic(void *) handler_user;

void securemem_set_misuse_handler(securemem_misuse_handler new_handler, void *user)
{
    unsigned even = atomic_load(&changes) & ~1U;
    while (!atomic_compare_exchange_weak(&changes, &even, even + 1))
        even &= ~1U;
    atomic_store(&handler_user, user);
    atomic_store(&handler, new_handler);
    atomic_store(&changes, even + 2);
}

static securemem_misuse_handler get_handler(void **user)
{
    securemem_misuse_handler found;
    unsigned before;
    do {
        before = atomic_load(&changes);
        *user = atomic_load(&handler_user);
        found = atomic_load(&handler);
    } while (before % 2 != 0 || atomic_load(&changes) != before);
    return found;
}

static const char *words_of(securemem_misuse_kind kind)
{
    switch (kind) {
    case SECUREMEM_MISUSE_DOUBLE_FREE:
        return "double free of ";
    case SECUREMEM_MISUSE_INTERIOR:
        return "free of a pointer that is not the start of a secret: ";
    case SECUREMEM_MISUSE_FOREIGN:
        return "free of a foreign pointer: ";
    case SECUREMEM_MISUSE_WRONG_ARENA:
        return "free in the wrong arena of ";
    case SECUREMEM_MISUSE_CANARY:
        return "bytes around a secret were overwritten: ";
    case SECUREMEM_MISUSE_NOT_AN_ARENA:
        break;
    }
    return "use of what is not a live arena: ";
}

/* A line put together without an allocation; what does not fit is cut. */
struct line {
    size_t length;
    char text[LINE_BYTES];
};

static void add_text(struct line *line, const char *text)
{
    while (*text != '\0' && line->length < LINE_BYTES - 1)
        line->text[line->length++] = *text++;
    line->text[line->length] = '\0';
}

static void add_number(struct line *line, uintptr_t value, unsigned base)
{
    char digits[3 * sizeof value + 1];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do
        digits[--at] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    add_text(line, digits + at);
}

static void compose(struct line *line, securemem_misuse_kind kind, const void *pointer)
{
    line->length = 0;
    add_text(line, PREFIX);
    add_text(line, words_of(kind));
    add_text(line, "0x");
    add_number(line, (uintptr_t)pointer, 16);
}

__attribute__((noreturn)) static void stop(struct line *line)
{
    size_t failed = smem_wipe_regions(SMEM_WIPE_PAGES);
    if (failed != 0) {
        add_text(line, "; secrets that could not be wiped: ");
        add_number(line, failed, 10);
    }
    add_text(line, "\n");
    /* Without a descriptor 2 the line is lost; the abort says enough. */
    (void)smem_kernel_write(STANDARD_ERROR, line->text, line->length);
    abort();
}

void smem_misuse(securemem_misuse_kind kind, const void *pointer)
{
    struct line line;
    compose(&line, kind, pointer);
    void *user;
    securemem_misuse_handler call = get_handler(&user);
    if (call == NULL)
        stop(&line);
    securemem_misuse misuse = {
        .kind = kind, .pointer = pointer, .message = line.text + strlen(PREFIX)};
    call(&misuse, user);
}
