/* SPDX-License-Identifier: ISC */
/*
 * Memory of both sorts. A refusal of the library is one of its own, with its sentence: it is
 * asked for what nobody can have.
 */
#include <errno.h>
#include <securemem.h>
#include <stdint.h>
#include <stdlib.h>

#include "faults/agent/fault.h"
#include "faults/agent/held.h"
#include "support/need.h"

struct held held;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    if (fault_take("calloc", 1) >= 0) {
        errno = ENOMEM;
        return NULL;
    }
    void *made = __real_calloc(count, size);
    held.heap += fault_counts && made != NULL;
    return made;
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
    if (fault_take("realloc", 1) >= 0) {
        errno = ENOMEM;
        return NULL;
    }
    void *made = __real_realloc(memory, size);
    held.heap += fault_counts && memory == NULL && made != NULL;
    return made;
}

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    held.heap -= fault_counts && memory != NULL;
    __real_free(memory);
}

void *__real_securemem_alloc(size_t size);
void *__wrap_securemem_alloc(size_t size);
void *__wrap_securemem_alloc(size_t size)
{
    bool fails = fault_take("securemem_alloc", 1) >= 0;
    void *made = __real_securemem_alloc(fails ? SIZE_MAX : size);
    held.secrets += fault_counts && made != NULL;
    return made;
}

void *__real_securemem_arena_alloc(securemem_arena *arena, size_t size);
void *__wrap_securemem_arena_alloc(securemem_arena *arena, size_t size);
void *__wrap_securemem_arena_alloc(securemem_arena *arena, size_t size)
{
    /* What was reserved cannot be refused, and is not: the real one has to keep that. */
    bool fails = !held.is_reserved && fault_take("securemem_arena_alloc", 1) >= 0;
    void *made = __real_securemem_arena_alloc(arena, fails ? SIZE_MAX : size);
    NEED(made != NULL || !held.is_reserved);
    held.secrets += fault_counts && made != NULL;
    return made;
}

void *__real_securemem_realloc(void *secret, size_t size);
void *__wrap_securemem_realloc(void *secret, size_t size);
void *__wrap_securemem_realloc(void *secret, size_t size)
{
    bool fails = fault_take("securemem_realloc", 1) >= 0;
    return __real_securemem_realloc(secret, fails ? SIZE_MAX : size);
}

void __real_securemem_free(void *secret);
void __wrap_securemem_free(void *secret);
void __wrap_securemem_free(void *secret)
{
    held.secrets -= fault_counts && secret != NULL;
    __real_securemem_free(secret);
}

securemem_arena *__real_securemem_arena_create(const securemem_arena_options *options);
securemem_arena *__wrap_securemem_arena_create(const securemem_arena_options *options);
securemem_arena *__wrap_securemem_arena_create(const securemem_arena_options *options)
{
    static const securemem_arena_options impossible = {.placement =
                                                           (securemem_placement)99};
    bool fails = fault_take("securemem_arena_create", 1) >= 0;
    return __real_securemem_arena_create(fails ? &impossible : options);
}

int __real_securemem_arena_reserve(securemem_arena *arena, size_t bytes);
int __wrap_securemem_arena_reserve(securemem_arena *arena, size_t bytes);
int __wrap_securemem_arena_reserve(securemem_arena *arena, size_t bytes)
{
    bool fails = fault_take("securemem_arena_reserve", 1) >= 0;
    int result = __real_securemem_arena_reserve(fails ? NULL : arena, bytes);
    held.is_reserved = result == 0;
    return result;
}

int __real_securemem_arena_trim(securemem_arena *arena);
int __wrap_securemem_arena_trim(securemem_arena *arena);
int __wrap_securemem_arena_trim(securemem_arena *arena)
{
    int result = __real_securemem_arena_trim(arena);
    held.is_reserved = false;
    return fault_take("securemem_arena_trim", 1) >= 0 ? -ENOMEM : result;
}

securemem_sealed *__real_securemem_seal(const void *secret, size_t size, unsigned flags);
securemem_sealed *__wrap_securemem_seal(const void *secret, size_t size, unsigned flags);
securemem_sealed *__wrap_securemem_seal(const void *secret, size_t size, unsigned flags)
{
    bool fails = fault_take("securemem_seal", 1) >= 0;
    securemem_sealed *made = __real_securemem_seal(secret, size, fails ? ~0U : flags);
    held.sealed += made != NULL;
    return made;
}

void __real_securemem_sealed_free(securemem_sealed *sealed);
void __wrap_securemem_sealed_free(securemem_sealed *sealed);
void __wrap_securemem_sealed_free(securemem_sealed *sealed)
{
    held.sealed -= sealed != NULL;
    __real_securemem_sealed_free(sealed);
}

void *__real_securemem_sealed_open(securemem_sealed *sealed, securemem_access access);
void *__wrap_securemem_sealed_open(securemem_sealed *sealed, securemem_access access);
void *__wrap_securemem_sealed_open(securemem_sealed *sealed, securemem_access access)
{
    bool fails = fault_take("securemem_sealed_open", 1) >= 0;
    void *opened = __real_securemem_sealed_open(sealed, fails ? SECUREMEM_NONE : access);
    held.opened += opened != NULL;
    return opened;
}

/* One that fails closes nevertheless. */
int __real_securemem_sealed_close(securemem_sealed *sealed);
int __wrap_securemem_sealed_close(securemem_sealed *sealed);
int __wrap_securemem_sealed_close(securemem_sealed *sealed)
{
    bool fails = fault_take("securemem_sealed_close", 1) >= 0;
    if (held.ignores_close)
        return 0;
    int closed = __real_securemem_sealed_close(sealed);
    held.opened--;
    return fails ? -EPERM : closed;
}

void __real_securemem_wipe(void *memory, size_t size);
void __wrap_securemem_wipe(void *memory, size_t size);
void __wrap_securemem_wipe(void *memory, size_t size)
{
    if (!held.ignores_wipe)
        __real_securemem_wipe(memory, size);
}

int __real_securemem_scratch_call(void (*function)(void *), void *argument, size_t size);
int __wrap_securemem_scratch_call(void (*function)(void *), void *argument, size_t size);
int __wrap_securemem_scratch_call(void (*function)(void *), void *argument, size_t size)
{
    bool fails = fault_take("securemem_scratch_call", 1) >= 0;
    return __real_securemem_scratch_call(function, argument, fails ? SIZE_MAX : size);
}

int __real_securemem_process_harden(unsigned flags, securemem_process_report *report);
int __wrap_securemem_process_harden(unsigned flags, securemem_process_report *report);
int __wrap_securemem_process_harden(unsigned flags, securemem_process_report *report)
{
    bool fails = fault_take("securemem_process_harden", 1) >= 0;
    return __real_securemem_process_harden(fails ? ~0U : flags, report);
}
