/* SPDX-License-Identifier: ISC */
#include "sealed/key.h"

#include <errno.h>
#include <securemem/sealed.h>
#include <securemem/secret.h>

#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/locks.h"
#include "region/wipe.h"
#include "secret/random.h"

_Static_assert((SECUREMEM_SEAL_SHIELDED | SECUREMEM_SEAL_KEEP) == SMEM_SEAL_CLASSES - 1,
               "a class is a set of flags");

/* A reader of memory has to get all of it (OpenSSH's sshkey.c has the idea). */
#define PREKEY_BYTES (16UL * 1024)

/*
 * 2^40 blocks under one key of AES-256-GCM leave an attacker who sees them an advantage
 * below 2^-48 (NIST SP 800-38D and the birthday bound on blocks of 128 bits).
 */
#define BLOCKS_A_KEY ((uint64_t)1 << 40)
#define BLOCK_BYTES  16U

#define PAGES_KEPT_IDLE 4

#define WHOLE 0x5ea1edU

struct smem_sealing_material {
    uint64_t first; /* WHOLE, as last; zeros where it was wiped or not inherited */
    union {
        union smem_aead_key key;
        unsigned char prekey[PREKEY_BYTES]; /* of a shielded one */
    };
    uint64_t last;
};

static size_t material_bytes(unsigned class)
{
    return (class & SECUREMEM_SEAL_SHIELDED) != 0
               ? sizeof(struct smem_sealing_material)
               : offsetof(struct smem_sealing_material, key) +
                     sizeof(union smem_aead_key) + sizeof(uint64_t);
}

/* Its other end: for one that is not shielded, right behind the key. */
static uint64_t *last_of(struct smem_sealing_material *material, unsigned class)
{
    char *end = (char *)material + material_bytes(class);
    return (uint64_t *)(void *)(end - sizeof(uint64_t));
}

static securemem_arena *_Atomic arenas[2]; /* by whether a child inherits */
static struct smem_sealing_key *_Atomic currents[SMEM_SEAL_CLASSES];
static _Atomic size_t pending;

securemem_arena *smem_seal_arena(unsigned class)
{
    bool keep = (class & SECUREMEM_SEAL_KEEP) != 0;
    securemem_arena *arena = atomic_load_explicit(&arenas[keep], memory_order_acquire);
    if (arena != NULL)
        return arena;
    arena = securemem_arena_create(&(securemem_arena_options){
        .fork = keep ? SECUREMEM_FORK_KEEP : SECUREMEM_FORK_WIPE,
        .idle = PAGES_KEPT_IDLE * smem_kernel_page_size(),
    });
    securemem_arena *first = NULL;
    if (arena == NULL || atomic_compare_exchange_strong(&arenas[keep], &first, arena))
        return arena;
    securemem_arena_destroy(arena); /* another thread was first */
    return first;
}

static void derive(const struct smem_sealing_material *material, union smem_aead_key *out,
                   unsigned char raw[SMEM_AEAD_KEY_BYTES])
{
    (void)crypto_generichash(raw, SMEM_AEAD_KEY_BYTES, material->prekey, PREKEY_BYTES,
                             NULL, 0);
    smem_aead()->prepare(out, raw);
    sodium_memzero(raw, SMEM_AEAD_KEY_BYTES);
    smem_aead_forget();
}

/* A key of the class in a secret of its own, or NULL and errno. */
static struct smem_sealing_material *draw(unsigned class)
{
    securemem_arena *arena = smem_seal_arena(class);
    if (arena == NULL)
        return NULL;
    struct smem_sealing_material *material = securemem_arena_alloc_aligned(
        arena, material_bytes(class), _Alignof(union smem_aead_key));
    if (material == NULL)
        return NULL;
    if ((class & SECUREMEM_SEAL_SHIELDED) != 0) {
        smem_random_fill(material->prekey, PREKEY_BYTES);
    } else {
        unsigned char *raw = securemem_arena_alloc(arena, SMEM_AEAD_KEY_BYTES);
        if (raw == NULL) {
            int code = errno;
            securemem_free(material);
            errno = code;
            return NULL;
        }
        smem_random_fill(raw, SMEM_AEAD_KEY_BYTES);
        smem_aead()->prepare(&material->key, raw);
        securemem_free(raw);
    }
    smem_aead_forget();
    material->first = WHOLE;
    *last_of(material, class) = WHOLE;
    return material;
}

static int make(unsigned class, struct smem_sealing_key **out)
{
    struct smem_sealing_key *key = smem_heap_take(sizeof *key);
    if (key == NULL)
        return smem_error_own("malloc", ENOMEM, "no memory for a sealing key");
    unsigned wipes = smem_wipe_count();
    struct smem_sealing_material *material = draw(class);
    if (material == NULL) {
        int code = errno;
        smem_heap_give(key);
        return -code;
    }
    *key = (struct smem_sealing_key){
        .material = material, .class = class, .wipes = wipes, .epoch = smem_epoch()};
    *out = key;
    return 0;
}

static void end(struct smem_sealing_key *key)
{
    securemem_free(key->material);
    smem_heap_give(key);
}

bool smem_key_is_whole(const struct smem_sealing_key *key)
{
    return key->wipes == smem_wipe_count() && key->material->first == WHOLE &&
           *last_of(key->material, key->class) == WHOLE;
}

struct smem_sealing_key *smem_key_current(unsigned class)
{
    struct smem_sealing_key *key =
        atomic_load_explicit(&currents[class], memory_order_relaxed);
    bool usable = key != NULL && key->epoch == smem_epoch() && smem_key_is_whole(key) &&
                  atomic_load_explicit(&key->next, memory_order_relaxed) < BLOCKS_A_KEY;
    return usable ? key : NULL;
}

/* With every stripe held. */
static void retire(struct smem_sealing_key *key)
{
    atomic_store(&key->retired, true);
    size_t sealed = atomic_load(&key->sealed);
    if (sealed == 0) {
        end(key);
    } else if (smem_key_is_whole(key)) {
        atomic_store(&key->pending, true);
        atomic_fetch_add(&pending, sealed);
    }
}

/* Puts a new key in the place of old, unless another thread has done so. */
static int renew(unsigned class, struct smem_sealing_key *old)
{
    struct smem_sealing_key *key;
    int result = make(class, &key);
    if (result != 0)
        return result;
    smem_lock_every_sealed();
    bool mine = atomic_load(&currents[class]) == old;
    if (mine) {
        atomic_store(&currents[class], key);
        if (old != NULL)
            retire(old);
    }
    smem_unlock_every_sealed();
    /* The analyzer cannot know that errno is never 0 after a refusal. */
    if (!mine)
        end(key); /* NOLINT(clang-analyzer-core.CallAndMessage) */
    return 0;
}

int smem_key_acquire(unsigned class, unsigned stripe, struct smem_sealing_key **out)
{
    for (;;) {
        smem_lock_sealed(stripe);
        *out = smem_key_current(class);
        if (*out != NULL)
            return 0;
        struct smem_sealing_key *old = atomic_load(&currents[class]);
        smem_unlock_sealed(stripe);
        int result = renew(class, old);
        if (result != 0)
            return result;
    }
}

int smem_key_rotate(unsigned class)
{
    struct smem_sealing_key *old = atomic_load(&currents[class]);
    return old == NULL ? 0 : renew(class, old);
}

void smem_key_drop(struct smem_sealing_key *key)
{
    if (atomic_fetch_sub(&key->sealed, 1) == 1 && atomic_load(&key->retired))
        end(key);
}

uint64_t smem_key_number(struct smem_sealing_key *key, size_t size)
{
    return atomic_fetch_add_explicit(&key->next, size / BLOCK_BYTES + 2,
                                     memory_order_relaxed);
}

int smem_key_open(const struct smem_sealing_key *key, struct smem_opened_key *out)
{
    if ((key->class & SECUREMEM_SEAL_SHIELDED) == 0) {
        *out = (struct smem_opened_key){.key = &key->material->key};
        return 0;
    }
    struct derived {
        union smem_aead_key key;
        unsigned char raw[SMEM_AEAD_KEY_BYTES];
    };
    struct derived *derived = securemem_arena_alloc_aligned(
        smem_seal_arena(key->class), sizeof *derived, _Alignof(struct derived));
    if (derived == NULL)
        return -errno;
    derive(key->material, &derived->key, derived->raw);
    *out = (struct smem_opened_key){&derived->key, derived};
    return 0;
}

void smem_key_close(struct smem_opened_key *opened)
{
    securemem_free(opened->derived);
}

size_t smem_key_pending(void)
{
    return atomic_load_explicit(&pending, memory_order_relaxed);
}

void smem_key_settle(const struct smem_sealing_key *key)
{
    if (atomic_load(&key->pending))
        atomic_fetch_sub(&pending, 1);
}
