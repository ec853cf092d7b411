/* SPDX-License-Identifier: ISC */
#include "secret/misuse.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "region/line.h"
#include "region/locks.h"
#include "region/wipe.h"
#include "secret/thread_local.h"

#define STANDARD_ERROR 2
#define PREFIX         "securemem: "

/*
 * Odd while the pair changes; who read at another number than before reads again. A fork
 * waits for the lock, so that no child finds it odd.
 */
static atomic_uint changes;
static _Atomic(securemem_misuse_handler) handler;
static _Atomic(void *) handler_user;

static SMEM_THREAD_LOCAL unsigned holds;
static SMEM_THREAD_LOCAL struct {
    bool any;
    securemem_misuse_kind kind;
    const void *pointer;
} waiting;

void securemem_set_misuse_handler(securemem_misuse_handler new_handler, void *user)
{
    smem_lock_signals();
    atomic_fetch_add(&changes, 1);
    atomic_store(&handler_user, user);
    atomic_store(&handler, new_handler);
    atomic_fetch_add(&changes, 1);
    smem_unlock_signals();
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
    case SECUREMEM_MISUSE_NOT_SEALED:
        return "free of what is not a sealed secret: ";
    case SECUREMEM_MISUSE_NOT_AN_ARENA:
        break;
    }
    return "use of what is not a live arena: ";
}

static void compose(struct smem_line *line, securemem_misuse_kind kind,
                    const void *pointer)
{
    line->length = 0;
    smem_line_text(line, PREFIX);
    smem_line_text(line, words_of(kind));
    smem_line_address(line, (uintptr_t)pointer);
}

__attribute__((noreturn)) static void stop(struct smem_line *line)
{
    size_t failed = smem_wipe_regions(SMEM_WIPE_PAGES);
    if (failed != 0) {
        smem_line_text(line, "; secrets that could not be wiped: ");
        smem_line_number(line, failed, 10);
    }
    smem_line_text(line, "\n");
    /* Without a descriptor 2 the line is lost; the abort says enough. */
    (void)smem_kernel_write(STANDARD_ERROR, line->text, line->length);
    abort();
}

void smem_misuse_hold(void)
{
    holds++;
}

void smem_misuse_resume(void)
{
    if (--holds > 0 || !waiting.any)
        return;
    waiting.any = false;
    smem_misuse(waiting.kind, waiting.pointer);
}

void smem_misuse(securemem_misuse_kind kind, const void *pointer)
{
    struct smem_line line;
    compose(&line, kind, pointer);
    void *user;
    securemem_misuse_handler call = get_handler(&user);
    if (call == NULL)
        stop(&line);
    if (holds > 0) {
        if (!waiting.any) {
            waiting.any = true;
            waiting.kind = kind;
            waiting.pointer = pointer;
        }
        return;
    }
    securemem_misuse misuse = {
        .kind = kind, .pointer = pointer, .message = line.text + strlen(PREFIX)};
    call(&misuse, user);
}
