/* SPDX-License-Identifier: ISC */
/*
 * Attack: what signing with a key in a secret leaves of the key, and of the private
 * scalar that is made of it, once the secret is freed. That is libsodium's doing, so it
 * is measured and told; what is proved is that the secret itself, and its freeing, add
 * nothing, and that the attack finds an ordinary key.
 */
#include <signal.h>
#include <sodium.h>

#include "attacks/scan.h"

#define SEED_BYTES 32U /* of the key; its other half is the public key */
#define ROUNDS     3U

enum stage { RECEIVED, SIGNED, FREED };

struct plan {
    bool of_malloc, expands; /* expands: makes the scalar itself, and forgets it */
    enum stage stage;
    unsigned signatures;
};

static void sign(const void *argument)
{
    const struct plan *plan = argument;
    static const unsigned char message[] = "a message that everyone may read";
    static unsigned char signature[crypto_sign_BYTES];
    unsigned char *key = plan->of_malloc ? malloc(crypto_sign_SECRETKEYBYTES)
                                         : securemem_alloc(crypto_sign_SECRETKEYBYTES);
    attack_require(key != NULL, "a place for the key");
    subject_receive(key, crypto_sign_SECRETKEYBYTES);
    for (unsigned i = 0; i < plan->signatures; i++)
        attack_require(
            crypto_sign_detached(signature, NULL, message, sizeof message, key) == 0,
            "crypto_sign_detached");
    if (plan->expands) {
        unsigned char *expanded = malloc(crypto_hash_sha512_BYTES);
        attack_require(expanded != NULL, "malloc");
        crypto_hash_sha512(expanded, key, SEED_BYTES);
        free(hidden(expanded));
    }
    if (plan->stage != FREED)
        subject_tell(key, crypto_sign_SECRETKEYBYTES);
    else if (plan->of_malloc)
        free(hidden(key));
    else
        securemem_free(key);
    SUBJECT_FREEZE();
}

struct left {
    struct scan seed, scalar, swapped; /* swapped: as SHA-512 loads the seed's words */
};

static void swap_words(unsigned char out[SEED_BYTES], const unsigned char *seed)
{
    for (size_t i = 0; i < SEED_BYTES; i++)
        out[i] = seed[i / PIECE_BYTES * PIECE_BYTES + PIECE_BYTES - 1 - i % PIECE_BYTES];
}

/* False where the machine cannot run the attack. */
static bool attack(struct plan plan, struct left *left)
{
    struct subject subject;
    if (!scan_is_known() || !subject_start(&subject, true, sign, &plan))
        return false;
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], key[crypto_sign_SECRETKEYBYTES];
    unsigned char expanded[crypto_hash_sha512_BYTES];
    assert_int_equal(crypto_sign_keypair(public_key, key), 0);
    crypto_hash_sha512(expanded, key, SEED_BYTES);
    expanded[0] &= 248; /* RFC 8032, 5.1.5 */
    expanded[31] = (unsigned char)((expanded[31] & 127) | 64);
    unsigned char turned[SEED_BYTES];
    swap_words(turned, key);
    struct pieces seed, scalar, swapped;
    pieces_of(&swapped, turned, sizeof turned);
    pieces_of(&seed, key, SEED_BYTES);
    pieces_of(&scalar, expanded, sizeof expanded);

    subject_send(&subject, key, sizeof key);
    subject_run(&subject);
    if (subject.stop == SIGTRAP) {
        left->seed = scan_subject(&subject, &seed);
        left->scalar = scan_subject(&subject, &scalar);
        left->swapped = scan_subject(&subject, &swapped);
    }
    int stop = subject.stop;
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (stop != SIGTRAP)
        fail_msg("stopped by %d: %s", stop, words);
    return true;
}

static size_t outside(const struct scan *scan)
{
    return scan->elsewhere + scan->registers;
}

static void a_key_in_a_secret_is_left_nowhere_but_by_the_signing_itself(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    struct left left;
    struct plan control = {
        .of_malloc = true, .expands = true, .stage = FREED, .signatures = 1};
    if (!attack(control, &left))
        SKIP("registers are known on x86-64, where ptrace(2) is allowed");
    assert_true(outside(&left.seed) >= 1);
    assert_true(outside(&left.scalar) >= 1);
    NOTE("malloc, sign, free: %zu pieces of the key, %zu of the scalar",
         outside(&left.seed), outside(&left.scalar));

    assert_true(attack((struct plan){.stage = RECEIVED}, &left));
    assert_int_equal(left.seed.in_place, SEED_BYTES - PIECE_BYTES + 1);
    assert_int_equal(outside(&left.seed), 0);
    assert_true(attack((struct plan){.stage = FREED}, &left));
    assert_int_equal(left.seed.in_place, 0);
    assert_int_equal(outside(&left.seed), 0);

    for (unsigned i = 1; i <= ROUNDS; i++) {
        struct left live, freed;
        assert_true(attack((struct plan){.stage = SIGNED, .signatures = i}, &live));
        assert_true(attack((struct plan){.stage = FREED, .signatures = i}, &freed));
        assert_int_equal(live.seed.in_place, SEED_BYTES - PIECE_BYTES + 1);
        assert_int_equal(freed.seed.in_place, 0);
        assert_true(outside(&freed.seed) <= outside(&live.seed));
        NOTE(
            "%u signatures by libsodium %s leave %zu pieces of the key in memory and %zu "
            "in registers, %zu and %zu of the scalar, %zu and %zu of the key's words "
            "turned round",
            i, sodium_version_string(), freed.seed.elsewhere, freed.seed.registers,
            freed.scalar.elsewhere, freed.scalar.registers, freed.swapped.elsewhere,
            freed.swapped.registers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_in_a_secret_is_left_nowhere_but_by_the_signing_itself),
    };
    return RUN_GROUP(tests);
}
