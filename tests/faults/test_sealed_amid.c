/* SPDX-License-Identifier: ISC */
/*
 * What another thread may do in the midst of a call of sealed secrets, done there, at the
 * one instruction where it matters: each of these calls has two moments between which a
 * wipe or another key can come, and no timing of threads meets them for certain.
 */
#include <errno.h>
#include <pthread.h>
#include <securemem.h>
#include <semaphore.h>
#include <string.h>

#include "kernel/kernel.h"
#include "sealed/box.h"
#include "support/need.h"

#define BYTES 32

static void (*amid)(void); /* what happens there, once */

static void happen(void)
{
    void (*what)(void) = amid;
    amid = NULL;
    if (what != NULL)
        what();
}

/* Between the key and its use. */
uint64_t __real_smem_key_number(struct smem_sealing_key *key, size_t size);
uint64_t __wrap_smem_key_number(struct smem_sealing_key *key, size_t size);
uint64_t __wrap_smem_key_number(struct smem_sealing_key *key, size_t size)
{
    uint64_t number = __real_smem_key_number(key, size);
    happen();
    return number;
}

/* Behind the cipher. */
static void (*amid_cipher)(void);
void __real_smem_aead_forget_cipher(void);
void __wrap_smem_aead_forget_cipher(void);
void __wrap_smem_aead_forget_cipher(void)
{
    void (*what)(void) = amid_cipher;
    amid_cipher = NULL;
    __real_smem_aead_forget_cipher();
    if (what != NULL)
        what();
}

/* Between a key that was prepared and its being called whole. */
static void (*amid_preparing)(void);
void __real_smem_aead_forget(void);
void __wrap_smem_aead_forget(void);
void __wrap_smem_aead_forget(void)
{
    void (*what)(void) = amid_preparing;
    amid_preparing = NULL;
    __real_smem_aead_forget();
    if (what != NULL)
        what();
}

/* A wiper stops before the first thing that it wipes. */
static _Thread_local bool stops;
static sem_t stopped, go_on;
int __real_smem_kernel_protect(void *start, size_t length,
                               enum smem_kernel_access access);
int __wrap_smem_kernel_protect(void *start, size_t length,
                               enum smem_kernel_access access);
int __wrap_smem_kernel_protect(void *start, size_t length, enum smem_kernel_access access)
{
    if (stops) {
        stops = false;
        sem_post(&stopped);
        while (sem_wait(&go_on) != 0)
            continue;
    }
    return __real_smem_kernel_protect(start, length, access);
}

/* Between drawing a key and its exchange for the current one. */
void __real_smem_lock_every_sealed(void);
void __wrap_smem_lock_every_sealed(void);
void __wrap_smem_lock_every_sealed(void)
{
    happen();
    __real_smem_lock_every_sealed();
}

/* Room for what a shielded key is derived to: idle memory of the library's, as a rule. */
static bool refuses;
static unsigned char *last; /* what it gave */
static size_t last_size;
void *__real_securemem_arena_alloc_aligned(securemem_arena *arena, size_t size,
                                           size_t alignment);
void *__wrap_securemem_arena_alloc_aligned(securemem_arena *arena, size_t size,
                                           size_t alignment);
void *__wrap_securemem_arena_alloc_aligned(securemem_arena *arena, size_t size,
                                           size_t alignment)
{
    if (refuses) {
        errno = ENOMEM;
        return NULL;
    }
    last = __real_securemem_arena_alloc_aligned(arena, size, alignment);
    last_size = size;
    return last;
}

static const unsigned char plain[BYTES] = "in the midst of it";
static securemem_sealed *other;
static unsigned class;

static securemem_sealed *seal(void)
{
    securemem_sealed *sealed = securemem_seal(plain, BYTES, class);
    NEED(sealed != NULL);
    return sealed;
}

static bool opens(securemem_sealed *sealed)
{
    unsigned char into[BYTES];
    return securemem_unseal_into(sealed, into, BYTES) == 0 &&
           memcmp(into, plain, BYTES) == 0;
}

static size_t secrets(void)
{
    securemem_budget_report report;
    NEED(securemem_budget(&report) == 0);
    return report.secrets;
}

static void wipe_all(void)
{
    NEED(securemem_wipe_all() == 0);
}

static void seal_other(void)
{
    other = seal();
}

static int wipe_amid_sealing(void *argument)
{
    (void)argument;
    securemem_sealed_free(seal());
    size_t before = secrets();
    amid = wipe_all;
    securemem_sealed *sealed = seal(); /* anew, by another key */
    NEED(amid == NULL && opens(sealed));
    NEED(secrets() == before); /* the wiped key is gone */
    securemem_sealed_free(sealed);
    NEED(opens(seal()));
    return 0;
}

static int wipe_amid_closing(void *argument)
{
    (void)argument;
    securemem_sealed *sealed = seal();
    memcpy(securemem_sealed_open(sealed, SECUREMEM_WRITE), plain, BYTES);
    amid = wipe_all;
    NEED(securemem_sealed_close(sealed) == 0 && amid == NULL);
    for (size_t i = 0; i < BYTES; i++) /* not what a key of zeros makes of it */
        NEED(sealed->bytes[i] == 0);
    NEED(!opens(sealed) && securemem_last_error()->code == ENOKEY);
    NEED(opens(seal()));
    return 0;
}

/* Of two threads that find no key, one has drawn in vain. */
static int seal_amid_drawing(void *argument)
{
    (void)argument;
    size_t before = secrets();
    amid = seal_other;
    securemem_sealed *sealed = seal();
    NEED(amid == NULL && sealed->key == other->key);
    NEED(opens(sealed) && opens(other));
    NEED(secrets() == before + 1);
    return 0;
}

/* What is sealed stays so by its old key, and what is open is sealed by the next close. */
static int refuse_amid_closing(void *argument)
{
    (void)argument;
    securemem_sealed *sealed = seal();
    unsigned char *open = securemem_sealed_open(sealed, SECUREMEM_WRITE), into[BYTES];
    NEED(open != NULL && securemem_sealed_rotate() == 0);
    open[0] ^= 1;
    refuses = true;
    errno = 77;
    int result = securemem_sealed_close(sealed);
    refuses = false;
    NEED(errno == 77);
    NEED(result == ((class & SECUREMEM_SEAL_SHIELDED) != 0 ? -ENOMEM : 0));
    if (result != 0) {
        NEED(opens(sealed));
        NEED(securemem_sealed_close(sealed) == 0);
    }
    NEED(securemem_unseal_into(sealed, into, BYTES) == 0);
    into[0] ^= 1;
    NEED(memcmp(into, plain, BYTES) == 0);
    return 0;
}

/* What was opened behind the wiper's back is not handed out. */
static int wipe_amid_unsealing(void *argument)
{
    (void)argument;
    securemem_sealed *sealed = seal();
    unsigned char into[BYTES], zeros[BYTES] = {0};
    amid_cipher = wipe_all;
    NEED(securemem_unseal_into(sealed, into, BYTES) == -ENOKEY && amid_cipher == NULL);
    NEED(memcmp(into, zeros, BYTES) == 0);
    sealed = seal();
    amid_cipher = wipe_all;
    NEED(securemem_unseal(sealed, NULL) == NULL && errno == ENOKEY);
    sealed = seal();
    amid_cipher = wipe_all;
    NEED(securemem_sealed_open(sealed, SECUREMEM_READ) == NULL && errno == ENOKEY);
    NEED(opens(seal()));
    return 0;
}

static void *wipe_and_stop(void *unused)
{
    stops = true;
    (void)securemem_wipe_all();
    return unused;
}

static pthread_t wiper;

static void let_it_wipe(void)
{
    sem_post(&go_on);
    pthread_join(wiper, NULL);
}

static bool opens_by_zeros(const securemem_sealed *sealed)
{
    static const union smem_aead_key zeros;
    unsigned char into[BYTES];
    struct smem_aead_label label = {.address = (uintptr_t)sealed, .size = sealed->size};
    return smem_aead()->decrypt(into, sealed->bytes, sealed->tag, &label, sealed->number,
                                &zeros);
}

/* The wiper has begun before a key is drawn, and comes to it before it is called whole. */
static int draw_amid_wiping(void *argument)
{
    (void)argument;
    NEED(sem_init(&stopped, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
    NEED(securemem_alloc(BYTES) != NULL); /* where it stops */
    securemem_sealed_free(seal());
    NEED(pthread_create(&wiper, NULL, wipe_and_stop, NULL) == 0);
    while (sem_wait(&stopped) != 0)
        continue;
    amid_preparing = let_it_wipe;
    securemem_sealed *sealed = seal();
    NEED(amid_preparing == NULL && opens(sealed) && !opens_by_zeros(sealed));
    sealed = seal();
    NEED(opens(sealed) && !opens_by_zeros(sealed));
    return 0;
}

static int see_zeros(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < last_size; i++)
        NEED(last[i] == 0);
    return 0;
}

/* In the midst of sealing, with the key derived: what another thread's child would get. */
static void fork_amid(void)
{
    struct child_end end;
    bool there = false;
    for (size_t i = 0; i < last_size; i++)
        there = there || last[i] != 0;
    NEED(there); /* the control: here it is in use */
    child_run(see_zeros, NULL, &end);
    NEED(end.exit_code == 0 && end.signal == 0);
}

static int fork_amid_sealing(void *argument)
{
    (void)argument;
    securemem_sealed_free(seal());
    amid = fork_amid;
    NEED(opens(seal()) && amid == NULL);
    return 0;
}

static void in_each_class(int (*body)(void *))
{
    for (class = 0; class < SMEM_SEAL_CLASSES; class ++) {
        bool skips = child_skips(body, NULL);
        assert_false(skips);
    }
}

static void what_is_wiped_amid_sealing_is_sealed_by_another_key(void **state)
{
    (void)state;
    in_each_class(wipe_amid_sealing);
}

static void what_is_wiped_amid_closing_is_lost_and_not_sealed_by_zeros(void **state)
{
    (void)state;
    in_each_class(wipe_amid_closing);
}

static void of_two_that_draw_a_key_both_seal_with_one(void **state)
{
    (void)state;
    in_each_class(seal_amid_drawing);
}

static void what_is_wiped_amid_unsealing_is_not_handed_out(void **state)
{
    (void)state;
    in_each_class(wipe_amid_unsealing);
}

static void no_child_gets_what_a_shielded_key_was_derived_to(void **state)
{
    (void)state;
    const unsigned kept[] = {0, SECUREMEM_SEAL_KEEP};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        class = SECUREMEM_SEAL_SHIELDED | kept[i];
        bool skips = child_skips(fork_amid_sealing, NULL);
        assert_false(skips);
    }
}

static void a_key_that_a_wiper_may_come_to_is_none(void **state)
{
    (void)state;
    in_each_class(draw_amid_wiping);
}

static void a_refused_close_leaves_what_was_sealed(void **state)
{
    (void)state;
    in_each_class(refuse_amid_closing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wiped_amid_sealing_is_sealed_by_another_key),
        cmocka_unit_test(what_is_wiped_amid_closing_is_lost_and_not_sealed_by_zeros),
        cmocka_unit_test(what_is_wiped_amid_unsealing_is_not_handed_out),
        cmocka_unit_test(a_key_that_a_wiper_may_come_to_is_none),
        cmocka_unit_test(no_child_gets_what_a_shielded_key_was_derived_to),
        cmocka_unit_test(a_refused_close_leaves_what_was_sealed),
        cmocka_unit_test(of_two_that_draw_a_key_both_seal_with_one),
    };
    return RUN_GROUP(tests);
}
