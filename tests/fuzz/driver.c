/* SPDX-License-Identifier: ISC */
/*
 * TARGET              20,000 inputs, or as many as $ROUNDS says, from a fixed seed
 * TARGET FILE ...     these inputs, as libFuzzer writes them when one fails
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "support/pace.h"

#define ROUNDS_USUAL 20000UL
#define ROOM         ((size_t)64 << 10)
#define PARTS_MOST   6U

static uint64_t state = 88172645463325252U; /* xorshift64 (Marsaglia 2003) */

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* A byte is changed, a stretch doubled or cut out, a size made extreme; mostly nothing. */
static size_t change(uint8_t *bytes, size_t size, size_t room)
{
    static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff};
    size_t at = (size_t)draw(size), length = (size_t)draw(size - at + 1);
    switch (draw(8)) {
    case 0:
        bytes[at] = (uint8_t)draw(256);
        break;
    case 1:
        bytes[at] ^= (uint8_t)(1U << draw(8));
        break;
    case 2:
        bytes[at] = extremes[draw(sizeof extremes)];
        break;
    case 3:
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length > 0 ? size - length : 1;
    case 4:
        if (size + length > room)
            break;
        memmove(bytes + at + length, bytes + at, size - at);
        return size + length;
    default:
        break;
    }
    return size;
}

static void play(void)
{
    static uint8_t input[ROOM];
    size_t size = 0;
    for (uint64_t parts = 1 + draw(PARTS_MOST); parts > 0; parts--)
        size += fuzz_seed((size_t)draw(1000), input + size, ROOM - size);
    for (uint64_t changes = draw(6); changes > 0; changes--)
        size = change(input, size, ROOM);
    (void)LLVMFuzzerTestOneInput(input, size);
}

static int play_file(const char *path)
{
    static uint8_t input[ROOM];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return EXIT_FAILURE;
    }
    size_t size = fread(input, 1, sizeof input, file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(input, size);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *wanted = getenv("ROUNDS");
    unsigned long rounds =
        wanted == NULL ? paced(ROUNDS_USUAL) : strtoul(wanted, NULL, 10);
    int status = EXIT_SUCCESS;
    (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        status |= play_file(argv[i]);
    for (unsigned long i = 0; argc == 1 && i < rounds; i++)
        play();
    return status;
}
