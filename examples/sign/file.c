/* SPDX-License-Identifier: ISC */
#include "file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <securemem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_FIRST_READ ((size_t)65536)

/* Reads until the end of the file or until buffer is full. 0, or -1 with errno. */
static int fill(int fd, unsigned char *buffer, size_t capacity, size_t *size)
{
    while (*size < capacity) {
        ssize_t got = read(fd, buffer + *size, capacity - *size);
        if (got == 0)
            return 0;
        if (got > 0)
            *size += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static const char *read_key(int fd, unsigned char *secret, size_t *size)
{
    static_assert(FILE_KEY_MAX == 16384, "the message says so");
    size_t got = 0;
    if (fill(fd, secret, FILE_KEY_MAX + 1, &got) != 0)
        return strerror(errno);
    if (got == 0)
        return "is empty";
    if (got > FILE_KEY_MAX)
        return "is too long for a key: more than 16384 bytes";
    *size = got;
    return NULL;
}

const char *file_read_key(const char *path, unsigned char **secret, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return strerror(errno);
    const char *wrong;
    /* The byte beyond the limit tells a file that ends there from one that goes on. */
    unsigned char *place = securemem_alloc(FILE_KEY_MAX + 1);
    if (place == NULL) {
        wrong = securemem_last_error()->message;
        goto close_file;
    }
    wrong = read_key(fd, place, size);
    if (wrong == NULL)
        *secret = place;
    else
        securemem_free(place);
close_file:
    (void)close(fd);
    return wrong;
}

const char *file_exposure(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) ||
        (info.st_mode & (S_IRGRP | S_IROTH)) == 0)
        return NULL;
    return "warning: others than its owner may read this key (chmod 600)";
}

/* The first guess at a buffer's size, a byte more than the file so that it never fills.
 */
static size_t expected(int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 0)
        return PIPE_FIRST_READ;
    return (size_t)info.st_size > FILE_MESSAGE_MAX ? FILE_MESSAGE_MAX + 1
                                                   : (size_t)info.st_size + 1;
}

const char *file_read_message(const char *path, unsigned char **message, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return strerror(errno);
    const char *wrong = NULL;
    unsigned char *buffer = NULL;
    size_t got = 0;
    for (size_t capacity = expected(fd); got <= FILE_MESSAGE_MAX; capacity *= 2) {
        unsigned char *larger = realloc(buffer, capacity);
        if (larger == NULL) {
            wrong = strerror(errno);
            goto free_buffer;
        }
        buffer = larger;
        if (fill(fd, buffer, capacity, &got) != 0) {
            wrong = strerror(errno);
            goto free_buffer;
        }
        if (got < capacity)
            break;
    }
    if (got > FILE_MESSAGE_MAX) {
        wrong = "is too long: Ed25519 signs a file in one piece, here at most 256 MiB";
        goto free_buffer;
    }
    *message = buffer;
    *size = got;
    goto close_file;
free_buffer:
    free(buffer);
close_file:
    (void)close(fd);
    return wrong;
}

static bool is_file(const struct stat *info, const char *path)
{
    struct stat other;
    return stat(path, &other) == 0 && other.st_dev == info->st_dev &&
           other.st_ino == info->st_ino;
}

static int write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, bytes, size);
        if (put < 0 && errno != EINTR)
            return -1;
        if (put > 0) {
            bytes += put;
            size -= (size_t)put;
        }
    }
    return 0;
}

const char *file_write_signature(const char *path, const unsigned char *signature,
                                 size_t size, const char *const inputs[2])
{
    /* Without O_TRUNC: an input must not be emptied before it is recognised. */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return strerror(errno);
    const char *wrong = NULL;
    struct stat info;
    if (fstat(fd, &info) != 0)
        wrong = strerror(errno);
    else if (is_file(&info, inputs[0]) || is_file(&info, inputs[1]))
        wrong = "is an input, and is not overwritten";
    if (wrong != NULL) {
        (void)close(fd);
        return wrong;
    }
    bool regular = S_ISREG(info.st_mode); /* a device or a pipe is not removed */
    if ((regular && ftruncate(fd, 0) != 0) || write_all(fd, signature, size) != 0)
        wrong = strerror(errno);
    /* Linux has closed it even where EINTR comes back (close(2)). */
    if (close(fd) != 0 && errno != EINTR && wrong == NULL)
        wrong = strerror(errno);
    if (wrong != NULL && regular)
        (void)unlink(path);
    return wrong;
}
