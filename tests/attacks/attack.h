/* SPDX-License-Identifier: ISC */
/*
 * What the attacks share.
 *
 * Each proof is an attack with a positive control: the same code first has to succeed
 * against ordinary memory, or it proves nothing. Copies are counted, not asked for: 16 of
 * a marker, one a page, so that luck shows.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <securemem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/child.h"
#include "support/skip.h"
#include "support/view.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Linux's own number, for C libraries that are older than the kernel they run on. */
#define ADVICE_GUARD_INSTALL 102

#define COPIES       16U
#define MARKER_BYTES 64U
#define PIECE_BYTES  8U

/* Where in its page a copy lies: neither at the start nor aligned to a page's end. */
#define COPY_OFFSET 1003U

/* A measured figure, for the log; tests/run shows these lines. */
#define NOTE(...)                                                                        \
    do {                                                                                 \
        printf("NOTE: %s: ", __func__);                                                  \
        printf(__VA_ARGS__);                                                             \
        printf("\n");                                                                    \
        fflush(stdout);                                                                  \
    } while (0)

/* Hides from the compiler where a pointer came from and what is done with it. */
static inline void *hidden(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

static inline size_t copies_bytes(void)
{
    return COPIES * view_page_size();
}

static inline unsigned char *copy_at(const void *pages, size_t i)
{
    return (unsigned char *)((uintptr_t)pages + i * view_page_size() + COPY_OFFSET);
}

/*
 * The guard kinds that this kernel has, asked of the kernel itself: fills kinds, gives
 * their number.
 */
size_t attack_guard_kinds(securemem_guard_kind kinds[2]);

/* At the end of a test that attacked every kind: says aloud that one was not there. */
#define SAY_WHICH_KINDS(kinds_count)                                                     \
    do {                                                                                 \
        if ((kinds_count) < 2) {                                                         \
            printf("SKIP: %s: with guard regions: this kernel has none (Linux 6.13)\n",  \
                   __func__);                                                            \
            fflush(stdout);                                                              \
        }                                                                                \
    } while (0)

/* An arena, or a failed test that says why not. */
securemem_arena *attack_arena(securemem_arena_options options);

/* For processes under attack, which no assertion may leave: exits 99 with a word on 2. */
void attack_require(bool condition, const char *what);

/* Random bytes that no argument, environment or stdio buffer holds. */
void marker_draw(unsigned char marker[MARKER_BYTES]);

/* How often the marker begins in these bytes, at any offset. */
size_t marker_count(const unsigned char marker[MARKER_BYTES], const void *bytes,
                    size_t length);

/* How many bytes are not zero. */
size_t nonzero_count(const void *bytes, size_t length);

/*
 * Finds pieces: 8 bytes in a row that also stand, at any offset, in the secret. In
 * random bytes one is a copy, not chance.
 */
struct pieces {
    size_t count;
    uint64_t words[MARKER_BYTES];
    unsigned char filter[1 << 13]; /* a bit for the low 16 bits of every word */
};
void pieces_of(struct pieces *pieces, const unsigned char *secret, size_t length);
size_t pieces_count(const struct pieces *pieces, const void *bytes, size_t length);

#endif
