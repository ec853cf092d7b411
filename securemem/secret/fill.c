/* SPDX-License-Identifier: ISC */
#include "secret/fill.h"

#include <errno.h>
#include <securemem/secret.h>

#include "region/error.h"
#include "secret/arena.h"

void *smem_fill_begin(securemem_arena *arena, size_t size)
{
    void *secret = arena == NULL ? NULL : securemem_arena_alloc(arena, size);
    if (secret == NULL || !smem_door_is_there(&arena->door))
        return secret;
    int result = securemem_arena_open(arena, SECUREMEM_WRITE);
    if (result == 0)
        return secret;
    securemem_free(secret);
    errno = -result;
    return NULL;
}

void *smem_fill_end(securemem_arena *arena, void *secret)
{
    if (!smem_door_is_there(&arena->door))
        return secret;
    if (secret == NULL)
        smem_error_hold(); /* what refused it is the one to tell */
    int result = securemem_arena_close(arena);
    if (secret == NULL)
        smem_error_resume();
    if (result == 0 || secret == NULL)
        return secret;
    securemem_free(secret);
    errno = -result;
    return NULL;
}
