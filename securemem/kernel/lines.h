/* SPDX-License-Identifier: ISC */
/* A file of /proc, /sys or a control group, line by line, without a heap. */
#ifndef SMEM_LINES_H
#define SMEM_LINES_H

#include <stddef.h>

/* Longer than every line that is looked into; longer lines are cut, not misread. */
#define SMEM_LINE_MOST   512
#define SMEM_LINES_CHUNK 4096

struct smem_lines {
    int descriptor;
    size_t begin, end; /* what is unread of chunk */
    char line[SMEM_LINE_MOST];
    char chunk[SMEM_LINES_CHUNK];
};

int smem_lines_open(struct smem_lines *lines, const char *path);

/* 1 with the next line in lines->line, 0 at the end of the file, or a negative errno. */
int smem_lines_next(struct smem_lines *lines);

/* Gives result, or if that is 0 what closing gives. */
int smem_lines_close(struct smem_lines *lines, int result);

/* The first line of a file in *lines, whose descriptor is closed again. */
int smem_lines_first(const char *path, struct smem_lines *lines);

#endif
