/* SPDX-License-Identifier: ISC */
/* A passphrase, typed. */
#include <errno.h>
#include <securemem/secret.h>
#include <securemem/transfer.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/terminal.h"
#include "region/error.h"
#include "secret/fill.h"
#include "transfer/stream.h"

static const char operation[] = "securemem_read_passphrase";

static atomic_int reading; /* the process whose thread reads one, or 0 */

/* A prompt that cannot be shown says nothing of the line that is typed. */
static void show(int terminal, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        long count = smem_kernel_write(terminal, text, length);
        if (count == -EINTR)
            continue;
        if (count <= 0)
            return;
        text += count;
        length -= (size_t)count;
    }
}

/*
 * Reads a line into a secret of limit + 1 bytes, each byte into its place; *length without
 * the newline. 0, or a negative errno of the kernel's, or -ENODATA, -EFBIG; not recorded.
 */
static int read_line(int terminal, char *secret, size_t limit, size_t *length)
{
    for (*length = 0;;) {
        int result = smem_kernel_wait_terminal(terminal);
        if (result != 0)
            return result;
        long count = smem_kernel_read(terminal, secret + *length, 1);
        if (count == 0)
            return *length == 0 ? -ENODATA : 0;
        if (count < 0 && count != -EINTR && count != -EAGAIN)
            return (int)count;
        if (count < 0)
            continue;
        if (secret[*length] == '\n' || secret[*length] == '\r') {
            secret[*length] = '\0';
            return 0;
        }
        if (*length == limit)
            return -EFBIG;
        (*length)++;
    }
}

/* With signals caught: asks, without echo. As read_line. */
static int ask(int terminal, const char *prompt, char *secret, size_t limit,
               size_t *length)
{
    int result = smem_kernel_quiet_terminal(terminal);
    if (result != 0)
        return result;
    show(terminal, prompt);
    result = read_line(terminal, secret, limit, length);
    show(terminal, "\n");
    int restored = smem_kernel_restore_terminal(terminal);
    return result != 0 ? result : restored;
}

/* Asks again for as long as the process was only stopped meanwhile. */
static int ask_until_answered(int terminal, const char *prompt, char *secret,
                              size_t limit, size_t *length)
{
    for (;;) {
        bool caught;
        int result = smem_kernel_catch_signals();
        if (result != 0)
            return result;
        result = ask(terminal, prompt, secret, limit, length);
        smem_kernel_release_signals();
        bool goes_on = smem_kernel_raise_signals(&caught);
        if (caught && !goes_on)
            return result == 0 ? -EINTR : result;
        if (!caught || result != -EINTR)
            return result;
        securemem_wipe(secret, limit + 1);
    }
}

static int refuse(int result, size_t limit)
{
    switch (result) {
    case -EINTR:
        return smem_error_own(operation, EINTR, "a signal came while it was typed");
    case -ENODATA:
        return smem_error_own(operation, ENODATA, "the end of the file was typed");
    case -EFBIG:
        return smem_error_limit(operation, EFBIG, limit, limit, limit,
                                "more was typed than the limit, or than a terminal keeps "
                                "of a line (4094 bytes)");
    case -ENXIO:
    case -ENOTTY:
    case -ENODEV:
        return smem_error_file(operation, ENOTTY, -result, "/dev/tty",
                               "the process has no terminal: read the passphrase from a "
                               "descriptor with securemem_read_fd");
    default:
        return smem_stream_refuse(operation, "/dev/tty", result);
    }
}

/* With the terminal open, and by one thread. */
static char *read_from(securemem_arena *arena, int terminal, const char *prompt,
                       size_t limit)
{
    size_t length = 0;
    char *secret = smem_fill_begin(arena, limit + 1);
    if (secret == NULL)
        return NULL;
    int result = ask_until_answered(terminal, prompt, secret, limit, &length);
    if (result != 0) {
        securemem_free(secret);
        (void)smem_fill_end(arena, NULL);
        errno = -refuse(result, limit);
        return NULL;
    }
    secret[length] = '\0';
    if (length == limit)
        return smem_fill_end(arena, secret);
    char *exact = securemem_realloc(secret, length + 1);
    if (exact == NULL) {
        int code = errno;
        securemem_free(secret);
        errno = code;
    }
    return smem_fill_end(arena, exact);
}

/* False where another thread of this process reads one; a child inherits none. */
static bool begin(void)
{
    int self = smem_kernel_self(), reader = atomic_load(&reading);
    return reader != self && atomic_compare_exchange_strong(&reading, &reader, self);
}

void *securemem_read_passphrase(securemem_arena *arena, const char *prompt, size_t limit)
{
    if (prompt == NULL || limit == 0) {
        errno = -smem_error_argument(operation, "prompt is NULL, or the limit is 0");
        return NULL;
    }
    if (!begin()) {
        errno = -smem_error_own(operation, EAGAIN, "another thread is reading one");
        return NULL;
    }
    if (limit >= SMEM_TERMINAL_LINE)
        limit = SMEM_TERMINAL_LINE - 1; /* a line that is longer may have been cut */
    int saved_errno = errno;
    char *secret = NULL;
    arena = smem_stream_arena(arena);
    int terminal = arena == NULL ? 0 : smem_kernel_open_terminal();
    if (terminal < 0) {
        saved_errno = -refuse(terminal, limit);
    } else if (arena != NULL) {
        secret = read_from(arena, terminal, prompt, limit);
        if (secret == NULL)
            saved_errno = errno;
        (void)smem_kernel_close(terminal);
    } else {
        saved_errno = errno;
    }
    atomic_store(&reading, 0);
    errno = saved_errno;
    return secret;
}
