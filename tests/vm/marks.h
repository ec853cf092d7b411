/* SPDX-License-Identifier: ISC */
/*
 * Markers that the host looks for in the memory or the disk of a machine (boot.c). Programs
 * keep and tell only their complement: the marker itself is nowhere but where it was put.
 */
#ifndef VM_MARKS_H
#define VM_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define MARKER_BYTES 64
#define COPIES       16U

/* Behind what free(3) itself writes into a chunk. */
#define OFFSET 512U

struct mark {
    unsigned char complement[MARKER_BYTES];
};

static inline void mark_draw(struct mark *mark)
{
    if (getrandom(mark->complement, sizeof mark->complement, 0) != MARKER_BYTES)
        abort();
}

/* One byte at a time: no register ever holds more of it, nor what saves registers. */
static inline void mark_put(const struct mark *mark, void *place)
{
    volatile unsigned char *at = place;
    for (size_t i = 0; i < MARKER_BYTES; i++)
        at[OFFSET + i] = (unsigned char)~mark->complement[i];
}

/* "VM: look" at the memory now, or "VM: image" of the disk when the machine is off. */
static inline void mark_tell(const char *what, const char *name, size_t least,
                             size_t most, const struct mark *mark)
{
    printf("\nVM: %s %s %zu %zu ", what, name, least, most);
    for (size_t i = 0; i < MARKER_BYTES; i++)
        printf("%02x", mark->complement[i]);
    printf("\n");
    fflush(stdout);
}

/* The host counts while the machine stands still, and says when it goes on. */
static inline void mark_look(const char *name, size_t least, size_t most,
                             const struct mark *mark)
{
    char byte = 0;
    mark_tell("look", name, least, most, mark);
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
        continue;
}

/* Sixteen places of a page each. */
struct places {
    void *at[COPIES];
};

static inline bool places_fill(struct places *places, void *(*take)(size_t size),
                               const struct mark *mark)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < COPIES; i++) {
        places->at[i] = take(size);
        if (places->at[i] == NULL)
            return false;
        mark_put(mark, places->at[i]);
    }
    return true;
}

static inline void places_free(struct places *places, void (*give)(void *place))
{
    for (size_t i = 0; i < COPIES; i++)
        give(places->at[i]);
}

#endif
