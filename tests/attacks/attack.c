/* SPDX-License-Identifier: ISC */
#include "attacks/attack.h"

#include <sys/random.h>
#include <unistd.h>

size_t attack_guard_kinds(securemem_guard_kind kinds[2])
{
    kinds[0] = SECUREMEM_GUARDS_PROT_NONE;
    kinds[1] = SECUREMEM_GUARDS_REGION;
    return view_guard_regions_exist() ? 2 : 1;
}

securemem_arena *attack_arena(securemem_arena_options options)
{
    securemem_arena *arena = securemem_arena_create(&options);
    if (arena == NULL)
        fail_msg("%s", securemem_last_error()->message);
    return arena;
}

void attack_require(bool condition, const char *what)
{
    if (condition)
        return;
    dprintf(STDERR_FILENO, "under attack: %s: %s\n", what,
            securemem_last_error()->message);
    _exit(99);
}

void marker_draw(unsigned char marker[MARKER_BYTES])
{
    if (getrandom(marker, MARKER_BYTES, 0) != MARKER_BYTES)
        abort();
}

size_t marker_count(const unsigned char marker[MARKER_BYTES], const void *bytes,
                    size_t length)
{
    const unsigned char *at = bytes, *end = at + length;
    size_t count = 0;
    while (at < end &&
           (at = memmem(at, (size_t)(end - at), marker, MARKER_BYTES)) != NULL) {
        count++;
        at += MARKER_BYTES;
    }
    return count;
}

size_t nonzero_count(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += at[i] != 0;
    return count;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

void pieces_of(struct pieces *pieces, const unsigned char *secret, size_t length)
{
    memset(pieces, 0, sizeof *pieces);
    for (size_t i = 0; i + PIECE_BYTES <= length; i++) {
        uint64_t word = word_at(secret + i);
        pieces->words[pieces->count++] = word;
        pieces->filter[(word & 0xffff) / 8] |= (unsigned char)(1U << (word % 8));
    }
}

static bool is_piece(const struct pieces *pieces, uint64_t word)
{
    if ((pieces->filter[(word & 0xffff) / 8] & 1U << (word % 8)) == 0)
        return false;
    for (size_t i = 0; i < pieces->count; i++)
        if (pieces->words[i] == word)
            return true;
    return false;
}

size_t pieces_count(const struct pieces *pieces, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    size_t count = 0;
    for (size_t i = 0; i + PIECE_BYTES <= length; i++)
        count += is_piece(pieces, word_at(at + i));
    return count;
}
