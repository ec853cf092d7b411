/* SPDX-License-Identifier: ISC */
#include "kernel/lines.h"

#include <errno.h>

#include "kernel/kernel.h"

int smem_lines_open(struct smem_lines *lines, const char *path)
{
    lines->begin = lines->end = 0;
    lines->descriptor = smem_kernel_open(path);
    return lines->descriptor < 0 ? lines->descriptor : 0;
}

/* Closing a file that was only read loses nothing, but a failure is still an answer. */
int smem_lines_close(struct smem_lines *lines, int result)
{
    int closed = smem_kernel_close(lines->descriptor);
    return result != 0 ? result : closed;
}

static int fill(struct smem_lines *lines)
{
    long count;
    do
        count = smem_kernel_read(lines->descriptor, lines->chunk, sizeof lines->chunk);
    while (count == -EINTR);
    if (count < 0)
        return (int)count;
    lines->begin = 0;
    lines->end = (size_t)count;
    return count > 0;
}

int smem_lines_next(struct smem_lines *lines)
{
    size_t length = 0;
    for (;;) {
        if (lines->begin == lines->end) {
            int filled = fill(lines);
            if (filled < 0)
                return filled;
            if (filled == 0 && length == 0)
                return 0;
            if (filled == 0)
                break;
        }
        char c = lines->chunk[lines->begin++];
        if (c == '\n')
            break;
        if (length < sizeof lines->line - 1)
            lines->line[length++] = c;
    }
    lines->line[length] = '\0';
    return 1;
}

int smem_lines_first(const char *path, struct smem_lines *lines)
{
    int result = smem_lines_open(lines, path);
    if (result != 0)
        return result;
    result = smem_lines_next(lines);
    if (result >= 0)
        result = result == 1 ? 0 : -ENOENT;
    return smem_lines_close(lines, result);
}
