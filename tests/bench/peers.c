/* SPDX-License-Identifier: ISC */
#include "peers.h"

#include <dlfcn.h>
#include <securemem.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/view.h"

/* Of gcrypt.h. */
#define GCRYPT_INIT_SECURE_MEMORY      24
#define GCRYPT_INITIALIZATION_FINISHED 38

size_t peers_pool_bytes = (size_t)128 << 20;

static securemem_arena *arena;

static void *(*mimalloc_alloc)(size_t);
static void (*mimalloc_free)(void *);
static void *(*openssl_alloc)(size_t, const char *, int);
static void (*openssl_free)(void *, size_t, const char *, int);
static void *(*gcrypt_alloc)(size_t);
static void (*gcrypt_free)(void *);

/* A function of a library; POSIX lets its address be read as one. */
static bool find(void *library, const char *name, void *function)
{
    void *address = library == NULL ? NULL : dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static bool no_preparation(void)
{
    return true;
}

static void *with_malloc(size_t size)
{
    return malloc(size);
}

static void end_malloc(void *memory, size_t size)
{
    explicit_bzero(memory, size);
    free(memory);
}

static bool begin_mimalloc(void)
{
    /* Debian 12 has it without its secure mode. */
    void *library = dlopen("libmimalloc-secure.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    return find(library, "mi_malloc", &mimalloc_alloc) &&
           find(library, "mi_free", &mimalloc_free);
}

static void *with_mimalloc(size_t size)
{
    return mimalloc_alloc(size);
}

static void end_mimalloc(void *memory, size_t size)
{
    explicit_bzero(memory, size);
    mimalloc_free(memory);
}

static bool begin_sodium(void)
{
    return sodium_init() >= 0;
}

static void end_sodium(void *memory, size_t size)
{
    (void)size;
    sodium_free(memory);
}

static bool begin_openssl(void)
{
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    int (*init)(size_t, size_t);
    return find(library, "CRYPTO_secure_malloc", &openssl_alloc) &&
           find(library, "CRYPTO_secure_clear_free", &openssl_free) &&
           find(library, "CRYPTO_secure_malloc_init", &init) &&
           init(peers_pool_bytes, 16) != 0;
}

static void *with_openssl(size_t size)
{
    return openssl_alloc(size, __FILE__, __LINE__);
}

static void end_openssl(void *memory, size_t size)
{
    openssl_free(memory, size, __FILE__, __LINE__);
}

static bool begin_gcrypt(void)
{
    void *library = dlopen("libgcrypt.so.20", RTLD_NOW | RTLD_LOCAL);
    const char *(*check_version)(const char *);
    unsigned (*control)(int, ...);
    if (!find(library, "gcry_malloc_secure", &gcrypt_alloc) ||
        !find(library, "gcry_free", &gcrypt_free) ||
        !find(library, "gcry_check_version", &check_version) ||
        !find(library, "gcry_control", &control) || check_version(NULL) == NULL)
        return false;
    return control(GCRYPT_INIT_SECURE_MEMORY, (int)peers_pool_bytes, 0) == 0 &&
           control(GCRYPT_INITIALIZATION_FINISHED, 0) == 0;
}

static void *with_gcrypt(size_t size)
{
    return gcrypt_alloc(size);
}

static void end_gcrypt(void *memory, size_t size)
{
    (void)size;
    gcrypt_free(memory);
}

static bool make_arena(securemem_arena_options options)
{
    arena = securemem_arena_create(&options);
    return arena != NULL;
}

static bool begin_packed(void)
{
    return make_arena(
        (securemem_arena_options){.placement = SECUREMEM_PACKED, .idle = SIZE_MAX});
}

static bool begin_bare(void)
{
    return make_arena((securemem_arena_options){
        .placement = SECUREMEM_PACKED, .canaries = SECUREMEM_OFF, .idle = SIZE_MAX});
}

static bool begin_keeping(void)
{
    return make_arena((securemem_arena_options){.idle = SIZE_MAX});
}

static bool begin_returning(void)
{
    return make_arena((securemem_arena_options){0});
}

static void *with_arena(size_t size)
{
    return securemem_arena_alloc(arena, size);
}

static void end_secret(void *memory, size_t size)
{
    (void)size;
    securemem_free(memory);
}

/* More places than are live at once, one after the other, a set for each thread. */
#define PLACES  1024U
#define LARGEST ((size_t)64 << 10)

static void *next_place(size_t size)
{
    static _Thread_local char *places;
    static _Thread_local size_t at;
    if (places == NULL)
        places = malloc(PLACES * LARGEST);
    if (places == NULL || size > LARGEST)
        return NULL;
    return places + at++ % PLACES * ((size + 63) / 64 * 64);
}

static void wipe_place(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}

/*
 * The least that secrets at the ends of pages cost, a page between any two, where what stands
 * before each is looked at: the last that was freed is the next. What another thread freed
 * comes back when this one has no more, of twice as many as are under way.
 */
static _Thread_local struct {
    char *memory;
    size_t size, count;
    bool whole; /* pages: nothing stands before what fills them */
    void *unused[PLACES];
} ends;

static void lay_out(size_t size)
{
    size_t page = view_page_size(), length = (size + page - 1) / page * page;
    for (size_t i = 0; i < PLACES; i++)
        ends.unused[i] =
            ends.memory + i * (length + page) + length - (size + 15) / 16 * 16;
    ends.size = size;
    ends.whole = size % page == 0;
    ends.count = PLACES;
}

static void *last_end(size_t size)
{
    if (size > LARGEST)
        return NULL;
    if (ends.memory == NULL) {
        size_t length = PLACES * (LARGEST + view_page_size());
        void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            return NULL;
        /* A kernel without huge pages has none to refuse. */
        (void)madvise(memory, length, MADV_NOHUGEPAGE);
        ends.memory = memory;
    }
    if (size != ends.size || ends.count == 0)
        lay_out(size);
    return ends.unused[--ends.count];
}

static void wipe_end(void *memory, size_t size)
{
    const uint64_t *before = memory;
    uint64_t found = 0;
    for (int i = 1; i <= 8 && !ends.whole; i++)
        found |= before[-i];
    if (found != 0)
        abort();
    explicit_bzero(memory, size);
    if (ends.count < PLACES)
        ends.unused[ends.count++] = memory;
}

const struct peer peers[PEERS] = {
    {"malloc + explicit_bzero", false, false, false, no_preparation, with_malloc,
     end_malloc},
    {"mimalloc + explicit_bzero", false, false, false, begin_mimalloc, with_mimalloc,
     end_mimalloc},
    {"libsodium", false, true, false, begin_sodium, sodium_malloc, end_sodium},
    {"OpenSSL secure heap", false, false, false, begin_openssl, with_openssl,
     end_openssl},
    {"libgcrypt secure memory", false, false, false, begin_gcrypt, with_gcrypt,
     end_gcrypt},
    {"securemem packed", true, false, false, begin_packed, with_arena, end_secret},
    {"securemem packed, no canaries", true, false, false, begin_bare, with_arena,
     end_secret},
    {"securemem guarded, idle kept", true, false, false, begin_keeping, with_arena,
     end_secret},
    {"securemem guarded", true, true, false, begin_returning, with_arena, end_secret},
    {"no allocator: written and wiped", false, false, true, no_preparation, next_place,
     wipe_place},
    {"no allocator: at ends of pages", false, false, true, no_preparation, last_end,
     wipe_end},
};
