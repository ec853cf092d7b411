/* SPDX-License-Identifier: ISC */
#include "sealed/aead.h"

#include <securemem/scratch.h>
#include <string.h>

#define LARGEST_NONCE 32

/* Little-endian, followed by zeros. */
static void write_nonce(unsigned char nonce[LARGEST_NONCE], uint64_t number)
{
    memset(nonce, 0, LARGEST_NONCE);
    for (unsigned i = 0; i < sizeof number; i++)
        nonce[i] = (unsigned char)(number >> (8 * i));
}

/* One cipher of libsodium whose functions differ in nothing but their names and the key. */
#define CIPHER(name, encrypt_detached, decrypt_detached, key)                            \
    static void name##_encrypt(                                                          \
        unsigned char *cipher, unsigned char tag[SMEM_AEAD_TAG_BYTES],                   \
        const unsigned char *plain, const struct smem_aead_label *label,                 \
        uint64_t number, const union smem_aead_key *with)                                \
    {                                                                                    \
        unsigned char nonce[LARGEST_NONCE];                                              \
        write_nonce(nonce, number);                                                      \
        (void)encrypt_detached(cipher, tag, NULL, plain, label->size,                    \
                               (const unsigned char *)label, sizeof *label, NULL, nonce, \
                               key);                                                     \
    }                                                                                    \
                                                                                         \
    static bool name##_decrypt(unsigned char *plain, const unsigned char *cipher,        \
                               const unsigned char tag[SMEM_AEAD_TAG_BYTES],             \
                               const struct smem_aead_label *label, uint64_t number,     \
                               const union smem_aead_key *with)                          \
    {                                                                                    \
        unsigned char nonce[LARGEST_NONCE];                                              \
        write_nonce(nonce, number);                                                      \
        if (decrypt_detached(plain, NULL, cipher, label->size, tag,                      \
                             (const unsigned char *)label, sizeof *label, nonce,         \
                             key) == 0)                                                  \
            return true;                                                                 \
        sodium_memzero(plain, label->size);                                              \
        return false;                                                                    \
    }

CIPHER(xchacha, crypto_aead_xchacha20poly1305_ietf_encrypt_detached,
       crypto_aead_xchacha20poly1305_ietf_decrypt_detached, with->raw)

static void copy_prepare(union smem_aead_key *out,
                         const unsigned char raw[SMEM_AEAD_KEY_BYTES])
{
    for (unsigned i = 0; i < SMEM_AEAD_KEY_BYTES; i++)
        out->raw[i] = raw[i];
}

static const struct smem_aead xchacha = {
    "xchacha20poly1305", crypto_aead_xchacha20poly1305_ietf_MESSAGEBYTES_MAX,
    copy_prepare,        xchacha_encrypt,
    xchacha_decrypt,
};

/* The one for processors with instructions for AES. */
#ifdef crypto_aead_aegis128l_KEYBYTES
CIPHER(aegis, crypto_aead_aegis128l_encrypt_detached,
       crypto_aead_aegis128l_decrypt_detached, with->raw)

static const struct smem_aead by_instructions = {
    "aegis128l",   crypto_aead_aegis128l_MESSAGEBYTES_MAX, copy_prepare, aegis_encrypt,
    aegis_decrypt,
};
_Static_assert(crypto_aead_aegis128l_ABYTES <= SMEM_AEAD_TAG_BYTES &&
                   crypto_aead_aegis128l_NPUBBYTES <= LARGEST_NONCE &&
                   crypto_aead_aegis128l_KEYBYTES <= SMEM_AEAD_KEY_BYTES,
               "the room is enough for AEGIS-128L");
#else
CIPHER(gcm, crypto_aead_aes256gcm_encrypt_detached_afternm,
       crypto_aead_aes256gcm_decrypt_detached_afternm, &with->expanded)

static void gcm_prepare(union smem_aead_key *out,
                        const unsigned char raw[SMEM_AEAD_KEY_BYTES])
{
    (void)crypto_aead_aes256gcm_beforenm(&out->expanded, raw);
}

static const struct smem_aead by_instructions = {
    "aes256gcm", crypto_aead_aes256gcm_MESSAGEBYTES_MAX, gcm_prepare, gcm_encrypt,
    gcm_decrypt,
};
#endif

_Static_assert(crypto_aead_aes256gcm_ABYTES <= SMEM_AEAD_TAG_BYTES &&
                   crypto_aead_xchacha20poly1305_ietf_ABYTES <= SMEM_AEAD_TAG_BYTES &&
                   crypto_aead_xchacha20poly1305_ietf_NPUBBYTES <= LARGEST_NONCE &&
                   crypto_aead_xchacha20poly1305_ietf_KEYBYTES <= SMEM_AEAD_KEY_BYTES,
               "the room is enough for each cipher");

/* Without these instructions, libsodium's AEGIS is slower than XChaCha20. */
const struct smem_aead *smem_aead(void)
{
    return crypto_aead_aes256gcm_is_available() != 0 ? &by_instructions : &xchacha;
}

/*
 * libsodium 1.0.18 goes 480 bytes deep for AES-256-GCM, 2,264 for XChaCha20-Poly1305 and
 * 1,280 for BLAKE2b; 1.0.22 goes 372 for AEGIS-128L. With room for other versions, and for
 * the frame of what wipes.
 */
#define SHALLOW_BYTES 1024U
#define DEEP_BYTES    4096U

#if defined(__has_attribute) && __has_attribute(uninitialized)
#define NOT_FILLED __attribute__((uninitialized)) /* -ftrivial-auto-var-init would */
#else
#define NOT_FILLED
#endif

/* Each with a frame of its own, which begins where the cipher's did. */
__attribute__((noinline)) static void wipe_shallow(void)
{
    NOT_FILLED unsigned char dead[SHALLOW_BYTES];
    sodium_memzero(dead, sizeof dead);
}

__attribute__((noinline)) static void wipe_deep(void)
{
    NOT_FILLED unsigned char dead[DEEP_BYTES];
    sodium_memzero(dead, sizeof dead);
}

void smem_aead_forget(void)
{
    wipe_deep();
    securemem_clear_registers();
}

void smem_aead_forget_cipher(void)
{
    if (smem_aead() == &xchacha)
        wipe_deep();
    else
        wipe_shallow();
    securemem_clear_registers();
}
