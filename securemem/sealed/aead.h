/* SPDX-License-Identifier: ISC */
/*
 * The cipher of sealed secrets: authenticated encryption with associated data, by
 * libsodium. Which one is decided once, by what processor and library have.
 */
#ifndef SMEM_AEAD_H
#define SMEM_AEAD_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#define SMEM_AEAD_KEY_BYTES crypto_aead_aes256gcm_KEYBYTES /* enough for each */
#define SMEM_AEAD_TAG_BYTES 32                             /* room for each */

/* A key as its cipher wants it. A secret. */
union smem_aead_key {
    crypto_aead_aes256gcm_state expanded;
    unsigned char raw[SMEM_AEAD_KEY_BYTES];
};

/* What is authenticated beside the ciphertext. */
struct smem_aead_label {
    uint64_t address, size;
};

struct smem_aead {
    const char *name;
    uint64_t largest; /* bytes of a message */
    void (*prepare)(union smem_aead_key *out,
                    const unsigned char raw[SMEM_AEAD_KEY_BYTES]);
    /* number is the nonce: never twice with a key */
    void (*encrypt)(unsigned char *cipher, unsigned char tag[SMEM_AEAD_TAG_BYTES],
                    const unsigned char *plain, const struct smem_aead_label *label,
                    uint64_t number, const union smem_aead_key *key);
    /* False where it was altered: plain is then zeros. */
    bool (*decrypt)(unsigned char *plain, const unsigned char *cipher,
                    const unsigned char tag[SMEM_AEAD_TAG_BYTES],
                    const struct smem_aead_label *label, uint64_t number,
                    const union smem_aead_key *key);
};

const struct smem_aead *smem_aead(void);

/*
 * After a hash has run or a key was prepared, and after the cipher: libsodium leaves keys on
 * the dead stack below the caller, and in registers.
 */
void smem_aead_forget(void);
void smem_aead_forget_cipher(void);

#endif
