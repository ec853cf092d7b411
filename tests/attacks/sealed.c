/* SPDX-License-Identifier: ISC */
/*
 * Attack: freeze a process after it sealed or unsealed a secret, and look for any 8 bytes
 * in a row of the secret, and of the sealing key, outside of the secrets that hold them.
 * Controls: libsodium's cipher called as it is, and the secret while it is open.
 */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <unistd.h>

#include "attacks/scan.h"
#include "sealed/box.h"
#include "support/pace.h"

#define KEY_BYTES  MARKER_BYTES
#define KEY_PIECES (KEY_BYTES - PIECE_BYTES + 1)

#define PREKEY_BYTES 16384

/*
 * Of the sealing key, or the prekey: its first bytes, random ones. AES-256-GCM has its key
 * expanded; behind what other ciphers have are zeros.
 */
static size_t sealing_bytes(unsigned flags)
{
    bool expanded = strcmp(securemem_sealed_cipher(), "aes256gcm") == 0;
    return expanded || (flags & SECUREMEM_SEAL_SHIELDED) != 0 ? MARKER_BYTES
                                                              : SMEM_AEAD_KEY_BYTES;
}

struct plan {
    unsigned flags;
    size_t size;
    void (*run)(const struct plan *plan);
    size_t copies; /* of the secret, in live secrets */
};

static unsigned char *received(const struct plan *plan)
{
    unsigned char *secret = securemem_alloc(plan->size);
    attack_require(secret != NULL, "securemem_alloc");
    subject_receive(secret, KEY_BYTES);
    return secret;
}

static securemem_sealed *sealed_from(const struct plan *plan)
{
    unsigned char *secret = received(plan);
    securemem_sealed *sealed = securemem_seal(secret, plan->size, plan->flags);
    attack_require(sealed != NULL, "securemem_seal");
    securemem_free(secret);
    return sealed;
}

/* What the secret of a sealing key begins with is its own mark. */
static void tell_sealing_key(const securemem_sealed *sealed)
{
    const unsigned char *material = (const unsigned char *)sealed->key->material;
    subject_tell(material + _Alignof(union smem_aead_key), sealing_bytes(sealed->class));
}

static void seal(const struct plan *plan)
{
    tell_sealing_key(sealed_from(plan));
    SUBJECT_FREEZE();
}

static void unseal(const struct plan *plan)
{
    securemem_sealed *sealed = sealed_from(plan);
    void *secret = securemem_unseal(sealed, NULL);
    attack_require(secret != NULL, "securemem_unseal");
    tell_sealing_key(sealed);
    subject_tell(secret, plan->size);
    SUBJECT_FREEZE();
}

static void unseal_and_free(const struct plan *plan)
{
    securemem_sealed *sealed = sealed_from(plan);
    securemem_free(securemem_unseal(sealed, NULL));
    tell_sealing_key(sealed);
    SUBJECT_FREEZE();
}

static void open_and_close(const struct plan *plan)
{
    securemem_sealed *sealed = sealed_from(plan);
    attack_require(securemem_sealed_open(sealed, SECUREMEM_WRITE) != NULL &&
                       securemem_sealed_open(sealed, SECUREMEM_READ) != NULL &&
                       securemem_sealed_close(sealed) == 0 &&
                       securemem_sealed_close(sealed) == 0,
                   "scopes");
    tell_sealing_key(sealed);
    SUBJECT_FREEZE();
}

static void open_only(const struct plan *plan)
{
    securemem_sealed *sealed = sealed_from(plan);
    void *secret = securemem_sealed_open(sealed, SECUREMEM_READ);
    attack_require(secret != NULL, "securemem_sealed_open");
    tell_sealing_key(sealed);
    subject_tell(secret, plan->size);
    SUBJECT_FREEZE();
}

static void rotate(const struct plan *plan)
{
    securemem_sealed *sealed = sealed_from(plan);
    securemem_sealed *other = securemem_seal("", 0, plan->flags);
    attack_require(other != NULL && securemem_sealed_rotate() == 0, "rotation");
    const struct smem_sealing_key *key = sealed->key;
    for (unsigned i = 0; i < 4; i++)
        securemem_free(securemem_unseal(other, NULL));
    attack_require(sealed->key != key, "sealing anew");
    tell_sealing_key(sealed);
    SUBJECT_FREEZE();
}

static void free_it(const struct plan *plan)
{
    securemem_sealed *sealed = sealed_from(plan);
    attack_require(securemem_sealed_open(sealed, SECUREMEM_READ) != NULL, "open");
    tell_sealing_key(sealed);
    securemem_sealed_free(sealed);
    SUBJECT_FREEZE();
}

/* The control: the same cipher, keys and message in secrets, as most would call it. */
static void cipher_alone(const struct plan *plan)
{
    unsigned char *secret = received(plan), *raw = securemem_alloc(SMEM_AEAD_KEY_BYTES);
    union smem_aead_key *key =
        securemem_alloc_aligned(sizeof *key, _Alignof(union smem_aead_key));
    attack_require(raw != NULL && key != NULL, "securemem_alloc");
    static unsigned char cipher[8192], tag[SMEM_AEAD_TAG_BYTES], nonce[32];
    attack_require(plan->size <= sizeof cipher, "room");
    randombytes_buf(raw, SMEM_AEAD_KEY_BYTES);
    subject_tell(crypto_aead_aes256gcm_is_available() != 0 ? (const void *)key : raw,
                 sealing_bytes(0));
    if (crypto_aead_aes256gcm_is_available() != 0) {
        crypto_aead_aes256gcm_beforenm(&key->expanded, raw);
        crypto_aead_aes256gcm_encrypt_detached_afternm(
            cipher, tag, NULL, secret, plan->size, NULL, 0, NULL, nonce, &key->expanded);
        attack_require(crypto_aead_aes256gcm_decrypt_detached_afternm(
                           secret, NULL, cipher, plan->size, tag, NULL, 0, nonce,
                           &key->expanded) == 0,
                       "decryption");
    } else {
        crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
            cipher, tag, NULL, secret, plan->size, NULL, 0, NULL, nonce, raw);
    }
    SUBJECT_FREEZE();
}

/* It may lie behind a protection key, which this way does not look at. */
static void *read_prekey(const securemem_sealed *sealed)
{
    void *prekey = securemem_alloc(PREKEY_BYTES);
    off_t place =
        (off_t)((uintptr_t)sealed->key->material + _Alignof(union smem_aead_key));
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    attack_require(prekey != NULL && memory >= 0 &&
                       pread(memory, prekey, PREKEY_BYTES, place) == PREKEY_BYTES,
                   "reading the prekey");
    close(memory);
    return prekey;
}

/* The control for a shielded one: its key derived as the library does, and left there. */
static void derive_alone(const struct plan *plan)
{
    static unsigned char raw[SMEM_AEAD_KEY_BYTES];
    securemem_sealed *sealed = sealed_from(plan);
    tell_sealing_key(sealed);
    void *prekey = read_prekey(sealed);
    crypto_generichash(raw, sizeof raw, prekey, PREKEY_BYTES, NULL, 0);
    securemem_free(prekey);
    SUBJECT_FREEZE();
}

static void run(const void *argument)
{
    const struct plan *plan = argument;
    plan->run(plan);
}

struct result {
    struct scan secret, sealing, derived;
};

/* What a shielded key is derived from is 16 KiB; what is derived is nowhere between uses. */
static void scan_derived(const struct subject *subject, struct scan *out)
{
    static unsigned char prekey[PREKEY_BYTES];
    unsigned char raw[SMEM_AEAD_KEY_BYTES];
    struct pieces pieces;
    const void *address = subject->page->told[0].address;
    assert_int_equal(subject_peek(subject, address, prekey, sizeof prekey),
                     sizeof prekey);
    crypto_generichash(raw, sizeof raw, prekey, sizeof prekey, NULL, 0);
    pieces_of(&pieces, raw, sizeof raw);
    *out = scan_subject(subject, &pieces);
}

/* False where the machine cannot run the attack. */
static bool attack(const struct plan *plan, struct result *result)
{
    struct subject subject;
    if (!scan_is_known() || !subject_start(&subject, true, run, plan))
        return false;
    unsigned char key[KEY_BYTES], sealing[MARKER_BYTES];
    size_t length = sealing_bytes(plan->flags);
    struct pieces pieces;
    marker_draw(key);
    pieces_of(&pieces, key, sizeof key);
    subject_send(&subject, key, sizeof key);
    subject_run(&subject);
    int stop = subject.stop;
    if (stop == SIGTRAP) {
        result->secret = scan_subject(&subject, &pieces);
        assert_int_equal(
            subject_peek(&subject, subject.page->told[0].address, sealing, length),
            length);
        pieces_of(&pieces, sealing, length);
        result->sealing = scan_subject(&subject, &pieces);
        if ((plan->flags & SECUREMEM_SEAL_SHIELDED) != 0)
            scan_derived(&subject, &result->derived);
    }
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (stop != SIGTRAP)
        fail_msg("stopped by %d: %s", stop, words);
    return true;
}

static void neither_the_secret_nor_its_key_is_left_anywhere_else(void **state)
{
    (void)state;
    const struct plan plans[] = {
        {.run = seal, .copies = 0},
        {.run = unseal, .copies = 1},
        {.run = unseal_and_free, .copies = 0},
        {.run = open_and_close, .copies = 0},
        {.run = open_only, .copies = 1},
        {.run = rotate, .copies = 0},
        {.run = free_it, .copies = 0},
    };
    const size_t sizes[] = {KEY_BYTES, 200, 4096 + 24};
    size_t runs = 0;
    for (size_t i = 0; i < COUNT(plans); i++)
        for (unsigned flags = 0; flags < SMEM_SEAL_CLASSES; flags++)
            for (size_t s = 0; s < (pace() > 1 ? 1 : COUNT(sizes)); s++) {
                struct plan plan = plans[i];
                plan.flags = flags;
                plan.size = sizes[s];
                struct result result = {0};
                if (!attack(&plan, &result))
                    SKIP("registers are known on x86-64, where ptrace(2) is allowed");
                if (result.secret.elsewhere + result.secret.registers > 0 ||
                    result.secret.in_place != plan.copies * KEY_PIECES)
                    fail_msg("plan %zu, flags %u, %zu bytes: the secret: %zu pieces in "
                             "memory, %zu in registers, %zu in place\n%s",
                             i, flags, plan.size, result.secret.elsewhere,
                             result.secret.registers, result.secret.in_place,
                             result.secret.where);
                if (result.sealing.elsewhere + result.sealing.registers > 0)
                    fail_msg("plan %zu, flags %u, %zu bytes: the sealing key: %zu pieces "
                             "in memory, %zu in registers\n%s",
                             i, flags, plan.size, result.sealing.elsewhere,
                             result.sealing.registers, result.sealing.where);
                if (result.derived.in_place + result.derived.elsewhere +
                        result.derived.registers >
                    0)
                    fail_msg("plan %zu, flags %u, %zu bytes: the derived key: %zu pieces "
                             "in memory, %zu in registers\n%s",
                             i, flags, plan.size,
                             result.derived.in_place + result.derived.elsewhere,
                             result.derived.registers, result.derived.where);
                runs++;
            }
    NOTE("0 pieces of the secret and of the sealing key in %zu runs", runs);
}

static void the_cipher_by_itself_leaves_pieces_that_this_attack_finds(void **state)
{
    (void)state;
    struct plan plan = {.run = cipher_alone, .size = 256};
    struct result result = {0};
    if (!attack(&plan, &result))
        SKIP("registers are known on x86-64, where ptrace(2) is allowed");
    NOTE("of the key: %zu pieces in memory, %zu in registers; of the secret: %zu and %zu",
         result.sealing.elsewhere, result.sealing.registers, result.secret.elsewhere,
         result.secret.registers);
    assert_true(result.sealing.elsewhere + result.sealing.registers >= 1);
    assert_true(result.secret.elsewhere >= KEY_PIECES); /* where it lies */
}

static void a_derived_key_is_found_where_it_was_left(void **state)
{
    (void)state;
    struct plan plan = {
        .run = derive_alone, .size = 256, .flags = SECUREMEM_SEAL_SHIELDED};
    struct result result = {0};
    if (!attack(&plan, &result))
        SKIP("registers are known on x86-64, where ptrace(2) is allowed");
    NOTE("%zu pieces in memory, %zu in registers", result.derived.elsewhere,
         result.derived.registers);
    assert_true(result.derived.elsewhere >= SMEM_AEAD_KEY_BYTES - PIECE_BYTES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cipher_by_itself_leaves_pieces_that_this_attack_finds),
        cmocka_unit_test(a_derived_key_is_found_where_it_was_left),
        cmocka_unit_test(neither_the_secret_nor_its_key_is_left_anywhere_else),
    };
    return RUN_GROUP(tests);
}
