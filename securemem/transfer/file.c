/* SPDX-License-Identifier: ISC */
/* Whole files, and credentials of a service. */
#include <errno.h>
#include <securemem/transfer.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/file.h"
#include "kernel/kernel.h"
#include "region/error.h"
#include "transfer/stream.h"

#define GROUP_OR_OTHERS_READ  044U
#define GROUP_OR_OTHERS_WRITE 022U

static void *refuse(int result)
{
    errno = -result;
    return NULL;
}

static void describe(const struct smem_file_status *status, securemem_file_report *out)
{
    *out = (securemem_file_report){.owner = status->owner, .mode = status->mode};
    if ((status->mode & GROUP_OR_OTHERS_READ) != 0)
        out->flaws |= SECUREMEM_FILE_READABLE;
    if ((status->mode & GROUP_OR_OTHERS_WRITE) != 0)
        out->flaws |= SECUREMEM_FILE_WRITABLE;
    if (status->owner != 0 && status->owner != smem_kernel_user())
        out->flaws |= SECUREMEM_FILE_FOREIGN;
    if (!status->regular)
        out->flaws |= SECUREMEM_FILE_SPECIAL;
}

/* A file that is open; it is closed. */
static void *read_opened(const char *operation, const char *name, securemem_arena *arena,
                         int descriptor, size_t limit, securemem_file_report *report)
{
    void *secret = NULL;
    int saved_errno = errno;
    struct smem_file_status status;
    int result = smem_kernel_file_status(descriptor, &status);
    if (result != 0) {
        saved_errno = -smem_stream_refuse(operation, name, result);
    } else {
        if (report != NULL)
            describe(&status, report);
        size_t expected = !status.regular       ? 0
                          : status.size > limit ? limit
                                                : (size_t)status.size;
        secret =
            smem_stream_read_all(operation, name, arena, descriptor, expected, limit);
        if (secret == NULL)
            saved_errno = errno;
    }
    (void)smem_kernel_close(descriptor); /* nothing was written to it */
    errno = saved_errno;
    return secret;
}

void *securemem_read_file(securemem_arena *arena, const char *path, size_t limit,
                          securemem_file_report *report)
{
    static const char operation[] = "securemem_read_file";
    if (path == NULL)
        return refuse(smem_error_argument(operation, "path is NULL"));
    arena = smem_stream_arena(arena);
    if (arena == NULL)
        return NULL;
    int descriptor = smem_kernel_open_file(path);
    if (descriptor < 0)
        return refuse(smem_stream_refuse(operation, path, descriptor));
    return read_opened(operation, path, arena, descriptor, limit, report);
}

static bool is_plain(const char *name)
{
    return name != NULL && name[0] != '\0' && strchr(name, '/') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

void *securemem_read_credential(securemem_arena *arena, const char *name, size_t limit)
{
    static const char operation[] = "securemem_read_credential";
    if (!is_plain(name))
        return refuse(smem_error_argument(operation, "name is not that of a credential: "
                                                     "no '/', and not \".\" or \"..\""));
    arena = smem_stream_arena(arena);
    if (arena == NULL)
        return NULL;
    const char *path = secure_getenv("CREDENTIALS_DIRECTORY");
    if (path == NULL)
        return refuse(
            smem_error_own(operation, ENOENT,
                           "$CREDENTIALS_DIRECTORY is not set; give the service "
                           "LoadCredential= (systemd.exec(5))"));
    if (path[0] != '/')
        return refuse(smem_error_argument(operation, "$CREDENTIALS_DIRECTORY is not an "
                                                     "absolute path"));
    int directory = smem_kernel_open_directory(path);
    if (directory < 0)
        return refuse(smem_stream_refuse(operation, path, directory));
    int descriptor = smem_kernel_open_in(directory, name);
    (void)smem_kernel_close(directory);
    if (descriptor < 0)
        return refuse(smem_stream_refuse(operation, name, descriptor));
    return read_opened(operation, name, arena, descriptor, limit, NULL);
}
