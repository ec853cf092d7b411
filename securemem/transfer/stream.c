/* SPDX-License-Identifier: ISC */
#include "transfer/stream.h"

#include <errno.h>
#include <securemem/secret.h>
#include <securemem/transfer.h>
#include <sodium.h>
#include <stdio.h>

#include "kernel/file.h"
#include "kernel/kernel.h"
#include "region/error.h"
#include "secret/fill.h"
#include "secret/place.h"

/* What is asked for first where nothing is known of the length, and how that grows. */
#define FIRST_BYTES 4096U
#define GROWTH      2U

securemem_arena *smem_stream_arena(securemem_arena *arena)
{
    return arena != NULL ? arena : securemem_default_arena();
}

/* 0 where a refusal is none: a signal came, or what there is not yet was waited for. */
static int pass(int refusal, int (*wait)(int), int descriptor)
{
    int result = refusal == -EAGAIN ? wait(descriptor) : refusal;
    return result == -EINTR ? 0 : result;
}

int smem_stream_read(int descriptor, void *place, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        long count = smem_kernel_read(descriptor, (char *)place + *got, size - *got);
        if (count == 0)
            return 0;
        if (count > 0) {
            *got += (size_t)count;
            continue;
        }
        int result = pass((int)count, smem_kernel_wait_readable, descriptor);
        if (result != 0)
            return result;
    }
    return 0;
}

static int narrowed(int code)
{
    switch (code) {
    case ENOENT:
    case EISDIR:
    case EBADF:
    case EFAULT:
    case EPIPE:
        return code;
    case ENOTDIR:
        return ENOENT;
    case EACCES:
    case EPERM:
        return EACCES;
    default:
        return EIO;
    }
}

int smem_stream_refuse(const char *operation, const char *name, int kernel_code)
{
    int code = narrowed(-kernel_code);
    const char *remedy = "name another file or descriptor";
    switch (code) {
    case ENOENT:
        remedy = "name one that exists";
        break;
    case EACCES:
        remedy = "let this user read it";
        break;
    case EISDIR:
        remedy = "name a file in it";
        break;
    case EBADF:
        remedy = "it is closed, or not open for this direction";
        break;
    case EFAULT:
        remedy =
            "the secret is closed (securemem_open opens it), or size goes past its end";
        break;
    case EPIPE:
        remedy = "whoever read it is gone";
        break;
    default:
        break;
    }
    return smem_error_file(operation, code, -kernel_code, name, remedy);
}

/*
 * 0, or -EINVAL, recorded: no secret, or one of fewer bytes. Where one begins elsewhere, or
 * other memory, the caller knows how long it is.
 */
static int need_bytes(const char *operation, const void *secret, size_t size)
{
    struct smem_place place;
    if (secret == NULL)
        return smem_error_argument(operation, "secret is NULL");
    if (smem_place_acquire(secret, &place) != SMEM_FOUND)
        return 0;
    size_t there = smem_place_size(&place);
    smem_place_release(&place);
    if (size <= there)
        return 0;
    return smem_error_limit(operation, EINVAL, size, there, there,
                            "the secret has fewer bytes than size");
}

/*
 * Before a byte that cannot be written more may have come than read(2) says (a pipe's
 * pages). Another thread has closed the secret, or it ends there: zeros go as far as the
 * kernel gets, which tells without a fault.
 */
static void forget(void *place, size_t size)
{
    size_t got;
    int zeros = smem_kernel_open("/dev/zero");
    if (zeros < 0)
        return;
    (void)smem_stream_read(zeros, place, size, &got); /* what is closed keeps it */
    (void)smem_kernel_close(zeros);
}

int securemem_read_fd(int fd, void *secret, size_t size)
{
    static const char operation[] = "securemem_read_fd";
    int result = need_bytes(operation, secret, size);
    if (result != 0)
        return result;
    size_t got;
    result = smem_stream_read(fd, secret, size, &got);
    if (result == 0 && got == size)
        return 0;
    if (result == -EFAULT)
        forget(secret, size);
    else
        sodium_memzero(secret, got); /* what the kernel wrote to can be written */
    if (result != 0)
        return smem_stream_refuse(operation, "the descriptor", result);
    char sentence[96];
    (void)snprintf(sentence, sizeof sentence,
                   "it ended after %zu bytes, %zu were asked for; nothing is kept", got,
                   size);
    return smem_error_limit(operation, ENODATA, size, SIZE_MAX, got, sentence);
}

int securemem_write_fd(int fd, const void *secret, size_t size)
{
    static const char operation[] = "securemem_write_fd";
    int result = need_bytes(operation, secret, size);
    if (result != 0)
        return result;
    const char *bytes = secret;
    while (size > 0) {
        long count = smem_kernel_write(fd, bytes, size);
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
            continue;
        }
        result = count == 0 ? -EIO : pass((int)count, smem_kernel_wait_writable, fd);
        if (result != 0)
            return smem_stream_refuse(operation, "the descriptor", result);
    }
    return 0;
}

/*
 * One byte beyond those that are there tells whether it goes on: 1 and the byte, 0 at its
 * end, or a negative errno. It alone is for a moment outside of a secret.
 */
static int read_one_more(int descriptor, unsigned char *byte)
{
    size_t got;
    int result = smem_stream_read(descriptor, byte, 1, &got);
    return result != 0 ? result : (int)got;
}

/* Room for more bytes than size, and no more than limit. */
static size_t larger(size_t size, size_t limit)
{
    size_t more = size < FIRST_BYTES ? FIRST_BYTES : size;
    return more > limit / GROWTH ? limit : more * GROWTH;
}

static int refuse_long(const char *operation, size_t limit)
{
    return smem_error_limit(operation, EFBIG, limit, limit, limit,
                            "there are more bytes than the limit that was given; give a "
                            "larger one if this is what you expect");
}

/*
 * Fills *secret, of *room bytes from *size on, and grows it where it goes on; *byte is what
 * is read beyond it. 1, 0 at the end, or a negative errno, recorded.
 */
static int read_part(const char *operation, const char *name, int descriptor,
                     unsigned char **secret, size_t *size, size_t *room, size_t limit,
                     unsigned char *byte)
{
    size_t got;
    int result = smem_stream_read(descriptor, *secret + *size, *room - *size, &got);
    *size += got;
    if (result == 0 && *size == *room)
        result = read_one_more(descriptor, byte);
    if (result < 0)
        return smem_stream_refuse(operation, name, result);
    if (result == 0)
        return 0;
    if (*room >= limit)
        return refuse_long(operation, limit);
    size_t more = larger(*room, limit);
    void *grown = securemem_realloc(*secret, more);
    if (grown == NULL)
        return -errno;
    *secret = grown;
    *room = more;
    (*secret)[(*size)++] = *byte;
    return 1;
}

/* Fills *secret, of *size bytes, to the end; *size is then what there was. */
static int read_to_end(const char *operation, const char *name, int descriptor,
                       unsigned char **secret, size_t *size, size_t limit)
{
    unsigned char byte = 0;
    size_t room = *size;
    int result;
    *size = 0;
    do
        result =
            read_part(operation, name, descriptor, secret, size, &room, limit, &byte);
    while (result > 0);
    sodium_memzero(&byte, sizeof byte);
    return result;
}

void *smem_stream_read_all(const char *operation, const char *name,
                           securemem_arena *arena, int descriptor, size_t expected,
                           size_t limit)
{
    size_t size = expected == 0 ? FIRST_BYTES : expected;
    if (size > limit)
        size = limit;
    size_t room = size;
    unsigned char *secret = smem_fill_begin(arena, size);
    if (secret == NULL)
        return NULL;
    int result = read_to_end(operation, name, descriptor, &secret, &size, limit);
    if (result == 0 && size == room && room == expected)
        return smem_fill_end(arena, secret); /* it never moved */
    unsigned char *exact = result == 0 ? securemem_realloc(secret, size) : NULL;
    if (exact == NULL) {
        int code = result == 0 ? errno : -result;
        securemem_free(secret);
        errno = code;
    }
    return smem_fill_end(arena, exact);
}
