/* SPDX-License-Identifier: ISC */
/*
 * The control of agent.c: what the agent asks of the library, by malloc alone. It is
 * preloaded into the same program, which then takes the same steps with ordinary memory.
 */
#include <securemem.h>
#include <stdlib.h>
#include <string.h>

struct securemem_sealed {
    size_t size;
    void *opened;
    unsigned char bytes[];
};

struct securemem_arena {
    char unused;
};

void *securemem_alloc(size_t size)
{
    return calloc(1, size == 0 ? 1 : size);
}

void securemem_free(void *secret)
{
    free(secret);
}

void *securemem_realloc(void *secret, size_t size)
{
    return realloc(secret, size);
}

void securemem_wipe(void *ptr, size_t len)
{
    (void)ptr;
    (void)len;
}

securemem_arena *securemem_arena_create(const securemem_arena_options *options)
{
    (void)options;
    return calloc(1, sizeof(securemem_arena));
}

void *securemem_arena_alloc(securemem_arena *arena, size_t size)
{
    (void)arena;
    return securemem_alloc(size);
}

int securemem_arena_reserve(securemem_arena *arena, size_t bytes)
{
    (void)arena;
    (void)bytes;
    return 0;
}

int securemem_arena_trim(securemem_arena *arena)
{
    (void)arena;
    return 0;
}

void securemem_arena_destroy(securemem_arena *arena)
{
    free(arena);
}

securemem_sealed *securemem_seal(const void *secret, size_t size, unsigned flags)
{
    (void)flags;
    securemem_sealed *sealed = malloc(sizeof *sealed + size);
    if (sealed != NULL) {
        sealed->size = size;
        memcpy(sealed->bytes, secret, size);
    }
    return sealed;
}

void *securemem_sealed_open(securemem_sealed *sealed, securemem_access access)
{
    (void)access;
    sealed->opened = malloc(sealed->size);
    if (sealed->opened != NULL)
        memcpy(sealed->opened, sealed->bytes, sealed->size);
    return sealed->opened;
}

int securemem_sealed_close(securemem_sealed *sealed)
{
    free(sealed->opened);
    return 0;
}

size_t securemem_sealed_size(const securemem_sealed *sealed)
{
    return sealed->size;
}

void securemem_sealed_free(securemem_sealed *sealed)
{
    free(sealed);
}

int securemem_scratch_call(void (*function)(void *), void *argument, size_t stack_size)
{
    (void)stack_size;
    function(argument);
    return 0;
}
