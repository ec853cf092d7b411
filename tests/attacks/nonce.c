/* SPDX-License-Identifier: ISC */
/*
 * Attack: let a program with sealed secrets fork, by every call there is, and look for a
 * nonce that was used twice. Every process seals the same message; two equal ciphertexts
 * are one nonce under one key. Control: a key and a counter in ordinary memory.
 */
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/attack.h"
#include "sealed/box.h"
#include "support/pace.h"

#define MESSAGE 32U
#define MOST    64U /* messages a process and class */
#define FORKS   4U  /* the ways, of which each child forks again */

struct catch
{
    size_t count;
    unsigned char ciphertexts[SMEM_SEAL_CLASSES * MOST * FORKS * FORKS * 8][MESSAGE];
};

static struct catch *caught;
static size_t each; /* of MOST */

static void catch_one(const void *ciphertext)
{
    attack_require(caught->count < COUNT(caught->ciphertexts), "room");
    memcpy(caught->ciphertexts[caught->count++], ciphertext, MESSAGE);
}

/* Every class, or the one key of the control. */
static void seal_with_library(void)
{
    static const unsigned char message[MESSAGE];
    for (unsigned class = 0; class < SMEM_SEAL_CLASSES; class ++)
        for (size_t i = 0; i < each; i++) {
            securemem_sealed *sealed = securemem_seal(message, MESSAGE, class);
            attack_require(sealed != NULL, "securemem_seal");
            catch_one(sealed->bytes);
        }
}

static unsigned char plain_key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
static unsigned char plain_nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

static void seal_with_a_counter(void)
{
    static const unsigned char message[MESSAGE];
    unsigned char ciphertext[MESSAGE], tag[32];
    for (size_t i = 0; i < each; i++) {
        sodium_increment(plain_nonce, sizeof plain_nonce);
        crypto_aead_xchacha20poly1305_ietf_encrypt_detached(ciphertext, tag, NULL,
                                                            message, MESSAGE, NULL, 0,
                                                            NULL, plain_nonce, plain_key);
        catch_one(ciphertext);
    }
}

/* fork(2); clone(2) past the C library, which runs no handlers; clone3(2) the same. */
static pid_t by_fork(void)
{
    return fork();
}

static pid_t by_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static pid_t by_fork_call(void)
{
#ifdef SYS_fork
    return (pid_t)syscall(SYS_fork);
#else
    return by_clone();
#endif
}

static pid_t by_clone3(void)
{
    uint64_t arguments[8] = {0};
    arguments[4] = SIGCHLD;
    pid_t pid = (pid_t)syscall(SYS_clone3, arguments, sizeof arguments);
    return pid < 0 ? by_clone() : pid;
}

static pid_t (*const ways[FORKS])(void) = {by_fork, by_clone, by_fork_call, by_clone3};

/* Seals, forks in each way, and seals again; its children do the same, once. */
static void spread(void (*seal)(void), unsigned depth)
{
    seal();
    for (unsigned i = 0; depth > 0 && i < FORKS; i++) {
        pid_t pid = ways[i]();
        attack_require(pid >= 0, "fork");
        if (pid == 0) {
            spread(seal, depth - 1);
            _exit(0);
        }
        int status;
        attack_require(waitpid(pid, &status, 0) == pid && status == 0, "a child");
    }
    seal();
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, MESSAGE);
}

/* How many ciphertexts are there twice, of *count. */
static size_t repeated(void (*seal)(void), size_t *count)
{
    caught = mmap(NULL, sizeof *caught, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(caught != MAP_FAILED);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        spread(seal, 2);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    qsort(caught->ciphertexts, caught->count, MESSAGE, compare);
    size_t twice = 0;
    for (size_t i = 1; i < caught->count; i++)
        twice += memcmp(caught->ciphertexts[i - 1], caught->ciphertexts[i], MESSAGE) == 0;
    *count = caught->count;
    munmap(caught, sizeof *caught);
    return twice;
}

static void no_nonce_is_used_twice_across_forks(void **state)
{
    (void)state;
    size_t count, twice = repeated(seal_with_library, &count);
    NOTE("%zu of %zu ciphertexts were there before", twice, count);
    assert_true(count >= (FORKS * FORKS + FORKS + 1) * 2 * each * SMEM_SEAL_CLASSES);
    assert_int_equal(twice, 0);
}

static void a_counter_in_ordinary_memory_repeats_itself(void **state)
{
    (void)state;
    size_t count, twice = repeated(seal_with_a_counter, &count);
    NOTE("%zu of %zu ciphertexts were there before", twice, count);
    assert_true(twice >= each);
}

int main(void)
{
    each = paced(MOST);
    attack_require(sodium_init() >= 0, "sodium_init");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_in_ordinary_memory_repeats_itself),
        cmocka_unit_test(no_nonce_is_used_twice_across_forks),
    };
    return RUN_GROUP(tests);
}
