/* SPDX-License-Identifier: ISC */
#include "sealed/key.h"

#include <errno.h>
#include <securemem/sealed.h>
#include <securemem/secret.h>

#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "region/epoch.h"
#include "region/error.h"
#include "region/keys.h"
#include "region/locks.h"
#include "region/wipe.h"
#include "secret/arena.h"
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

/* A key as the cipher wants it, and room for what it is made of. */
struct prepared {
    union smem_aead_key key;
    unsigned char raw[SMEM_AEAD_KEY_BYTES]; /* zeros, but while it is being made */
};

struct smem_sealing_material {
    uint64_t first; /* WHOLE, as last; zeros where it was wiped or not inherited */
    union {
        struct prepared prepared;
        unsigned char prekey[PREKEY_BYTES]; /* of a shielded one */
    };
    uint64_t last;
};

static size_t material_bytes(unsigned class)
{
    return (class & SECUREMEM_SEAL_SHIELDED) != 0
               ? sizeof(struct smem_sealing_material)
               : offsetof(struct smem_sealing_material, prepared) +
                     sizeof(struct prepared) + sizeof(uint64_t);
}

/* Its other end: for one that is not shielded, right behind the key. */
static uint64_t *last_of(struct smem_sealing_material *material, unsigned class)
{
    char *end = (char *)material + material_bytes(class);
    return (uint64_t *)(void *)(end - sizeof(uint64_t));
}

/* By whether a child inherits: where keys are, and where what is open is. */
static securemem_arena *_Atomic key_arenas[2], *_Atomic arenas[2];
static struct smem_sealing_key *_Atomic currents[SMEM_SEAL_CLASSES];
static _Atomic size_t pending;

static bool is_kept(unsigned class)
{
    return (class & SECUREMEM_SEAL_KEEP) != 0;
}

static securemem_arena *create(unsigned class, securemem_policy protection_key)
{
    return securemem_arena_create(&(securemem_arena_options){
        .fork = is_kept(class) ? SECUREMEM_FORK_KEEP : SECUREMEM_FORK_WIPE,
        .idle = PAGES_KEPT_IDLE * smem_kernel_page_size(),
        .protection_key = protection_key,
    });
}

/* Makes the arena the one in its place, unless another thread was first. */
static securemem_arena *settle(securemem_arena *_Atomic *place, securemem_arena *arena)
{
    securemem_arena *first = NULL;
    if (arena == NULL || atomic_compare_exchange_strong(place, &first, arena))
        return arena;
    securemem_arena_destroy(arena);
    return first;
}

securemem_arena *smem_seal_arena(unsigned class)
{
    securemem_arena *_Atomic *place = &arenas[is_kept(class)];
    securemem_arena *arena = atomic_load_explicit(place, memory_order_acquire);
    if (arena != NULL)
        return arena;
    return settle(place, create(class, SECUREMEM_OFF));
}

/*
 * Without access but for the cipher's, where a protection key does that. mprotect(2) would
 * cost several times what the cipher does, so that it does not stand in for one.
 */
static securemem_arena *key_arena(unsigned class)
{
    securemem_arena *_Atomic *place = &key_arenas[is_kept(class)];
    securemem_arena *arena = atomic_load_explicit(place, memory_order_acquire);
    if (arena != NULL)
        return arena;
    int saved_errno = errno;
    smem_error_hold();
    arena = create(class, SECUREMEM_REQUIRED);
    smem_error_resume();
    if (arena == NULL) {
        errno = saved_errno;
        arena = create(class, SECUREMEM_OFF);
    }
    return settle(place, arena);
}

/*
 * Where shielded keys are derived to. No child gets it: there, its thread is not, and nobody
 * would free it.
 */
static securemem_arena *derived_arena(void)
{
    return key_arena(SECUREMEM_SEAL_SHIELDED);
}

/* A page for that stays, whichever thread needs it: at a full limit there is no other. */
static int reserve_derived(void)
{
    securemem_arena *arena = derived_arena();
    return arena == NULL ? -errno
                         : securemem_arena_reserve(arena, smem_kernel_page_size());
}

static void prepare(struct prepared *out)
{
    smem_aead()->prepare(&out->key, out->raw);
    sodium_memzero(out->raw, sizeof out->raw);
    smem_aead_forget();
}

static void derive(const struct smem_sealing_material *material, struct prepared *out)
{
    (void)crypto_generichash(out->raw, sizeof out->raw, material->prekey, PREKEY_BYTES,
                             NULL, 0);
    prepare(out);
}

/* A key of the class in a secret of its own, or NULL and errno; rights to it are open. */
static struct smem_sealing_material *draw(unsigned class, securemem_arena *arena)
{
    struct smem_sealing_material *material = securemem_arena_alloc_aligned(
        arena, material_bytes(class), _Alignof(union smem_aead_key));
    if (material == NULL)
        return NULL;
    if ((class & SECUREMEM_SEAL_SHIELDED) != 0) {
        int result = reserve_derived();
        if (result != 0) {
            securemem_free(material);
            errno = -result;
            return NULL;
        }
        smem_random_fill(material->prekey, PREKEY_BYTES);
        smem_aead_forget();
    } else {
        smem_random_fill(material->prepared.raw, SMEM_AEAD_KEY_BYTES);
        prepare(&material->prepared);
    }
    material->first = WHOLE;
    *last_of(material, class) = WHOLE;
    return material;
}

static int make(unsigned class, struct smem_sealing_key **out)
{
    struct smem_sealing_key *key = smem_heap_take(sizeof *key);
    if (key == NULL)
        return smem_error_own("malloc", ENOMEM, "no memory for a sealing key");
    int saved_errno = errno;
    unsigned wipes = smem_wipe_count_of_new();
    securemem_arena *arena = key_arena(class);
    struct smem_sealing_material *material = NULL;
    if (arena != NULL) {
        uint32_t bits = smem_key_bits(arena->door.key), rights = smem_rights_open(bits);
        material = draw(class, arena);
        smem_rights_restore(bits, rights);
    }
    if (material == NULL) {
        int code = errno;
        smem_heap_give(key);
        errno = saved_errno;
        return -code;
    }
    *key = (struct smem_sealing_key){.material = material,
                                     .class = class,
                                     .wipes = wipes,
                                     .rights = smem_key_bits(arena->door.key),
                                     .epoch = smem_epoch()};
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
    uint32_t before = smem_rights_open(key->rights);
    bool whole = key->wipes == smem_wipe_count() && key->material->first == WHOLE &&
                 *last_of(key->material, key->class) == WHOLE;
    smem_rights_restore(key->rights, before);
    return whole;
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
    *out = (struct smem_opened_key){.rights = key->rights};
    if ((key->class & SECUREMEM_SEAL_SHIELDED) == 0) {
        out->key = &key->material->prepared.key;
        out->before = smem_rights_open(key->rights);
        return 0;
    }
    int saved_errno = errno;
    securemem_arena *arena = derived_arena();
    struct prepared *derived =
        arena == NULL ? NULL
                      : securemem_arena_alloc_aligned(arena, sizeof *derived,
                                                      _Alignof(struct prepared));
    if (derived == NULL) {
        int code = errno;
        errno = saved_errno;
        return -code;
    }
    out->rights |= smem_key_bits(arena->door.key);
    out->before = smem_rights_open(out->rights);
    derive(key->material, derived);
    out->key = &derived->key;
    out->derived = derived;
    return 0;
}

void smem_key_close(struct smem_opened_key *opened)
{
    smem_rights_restore(opened->rights, opened->before);
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
