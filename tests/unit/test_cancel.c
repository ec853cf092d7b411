/* SPDX-License-Identifier: ISC */
/*
 * A thread that is to be cancelled (pthread_cancel(3)) goes through every call to the end:
 * no lock, secret or descriptor is left behind. The control is cancelled in read(2).
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/unit.h"

static const char *_Atomic reached = "the start";

/* The call is named where the thread ends in it, and where it does not give what it should. */
#define IN(call)                                                                         \
    do {                                                                                 \
        reached = #call;                                                                 \
        be_told(call);                                                                   \
    } while (0)

/* Writing to a stream is a cancellation point. */
static void be_told(bool holds)
{
    if (holds)
        return;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    fprintf(stderr, "does not hold: %s\n%s\n", reached, securemem_last_error()->message);
    _exit(1);
}

/* Cancelled in here, it would be told apart. */
static void touch(void *argument)
{
    memset(argument, 1, 16);
}

static void use_secrets(void)
{
    unsigned char *secret, *other;
    securemem_protection protection;
    securemem_budget_report budget;
    IN((secret = securemem_alloc(100)) != NULL); /* the first call of the process */
    IN(securemem_set_access(secret, SECUREMEM_NONE) == 0);
    IN(securemem_open(secret, SECUREMEM_WRITE) == 0);
    IN(securemem_close(secret) == 0);
    IN(securemem_protection(secret, &protection) == 0);
    IN((other = securemem_random(NULL, 20)) != NULL);
    IN((other = securemem_realloc(other, 9000)) != NULL);
    securemem_free(other);
    securemem_free(secret);
    IN(securemem_budget(&budget) == 0);
    const securemem_arena_options options[] = {
        {.placement = SECUREMEM_PACKED},
        {.secret_memory = SECUREMEM_PREFERRED, .fork = SECUREMEM_FORK_DROP},
    };
    for (size_t i = 0; i < COUNT(options); i++) {
        securemem_arena *arena;
        IN((arena = securemem_arena_create(&options[i])) != NULL);
        IN(securemem_arena_alloc(arena, 40) != NULL);
        IN(securemem_arena_check(arena) == 0);
        IN(securemem_arena_trim(arena) == 0);
        securemem_arena_destroy(arena);
    }
}

static void use_sealed(void)
{
    unsigned char plain[64] = {1};
    for (unsigned flags = 0; flags < 4; flags++) {
        securemem_sealed *sealed;
        void *secret;
        IN((sealed = securemem_seal(plain, sizeof plain, flags)) != NULL);
        IN((secret = securemem_unseal(sealed, NULL)) != NULL);
        securemem_free(secret);
        IN(securemem_sealed_open(sealed, SECUREMEM_WRITE) != NULL);
        IN(securemem_sealed_close(sealed) == 0);
        IN(securemem_sealed_rotate() == 0);
        IN(securemem_unseal_into(sealed, plain, sizeof plain) == 0);
        securemem_sealed_free(sealed);
    }
}

static void use_transfer(void)
{
    unsigned char bytes[16];
    void *secret;
    int ends[2];
    IN((secret = securemem_read_file(NULL, "/proc/self/stat", 4096, NULL)) != NULL);
    securemem_free(secret);
    IN(securemem_read_file(NULL, "/nonexistent", 4096, NULL) == NULL);
    IN(securemem_read_credential(NULL, "none", 16) == NULL);
    IN((secret = securemem_from_hex(NULL, "0011", 4)) != NULL);
    NEED(pipe(ends) == 0);
    IN(securemem_write_fd(ends[1], secret, 2) == 0);
    IN(securemem_read_fd(ends[0], bytes, 2) == 0);
    securemem_free(secret);
    (void)syscall(SYS_close, ends[0]);
    (void)syscall(SYS_close, ends[1]);
}

static void use_process(void)
{
    static unsigned char bytes[16];
    securemem_process_report report;
    IN(securemem_scratch_call(touch, bytes, 0) == 0);
    IN(securemem_scratch_trim() == 0);
    IN(securemem_lock_range(bytes, sizeof bytes) == 0);
    IN(securemem_unlock_range(bytes, sizeof bytes) == 0);
    IN(securemem_process_harden(SECUREMEM_HARDEN_NO_CORE_DUMPS, &report) == 0);
    IN(securemem_wipe_on_fatal_signal(SECUREMEM_SIGNALS_TERMINATION) == 0);
    IN(securemem_wipe_on_fatal_signal(0) == 0);
    IN(securemem_wipe_on_exit(true) == 0);
    IN(securemem_wipe_all() == 0);
    IN(securemem_lock_range((void *)view_page_size(), 1) != 0);
}

static void *go_through(void *argument)
{
    NEED(pthread_cancel(pthread_self()) == 0);
    use_secrets();
    use_sealed();
    use_transfer();
    use_process();
    reached = "the end";
    NEED(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    return argument;
}

static int goes_to_the_end(void *argument)
{
    (void)argument;
    pthread_t thread;
    void *result;
    alarm(60); /* for a lock that the thread left */
    NEED(pthread_create(&thread, NULL, go_through, NULL) == 0);
    NEED(pthread_join(thread, &result) == 0);
    if (result == PTHREAD_CANCELED)
        fprintf(stderr, "ended in %s\n", reached);
    NEED(result == NULL && strcmp(reached, "the end") == 0);
    securemem_free(securemem_alloc(32));
    return 0;
}

static void no_call_is_a_cancellation_point(void **state)
{
    (void)state;
    CHILD_PASSES(goes_to_the_end, NULL);
}

/* That a thread is cancelled where it may be, in a call of the C library, is the control. */
static void *call_the_library(void *argument)
{
    NEED(pthread_cancel(pthread_self()) == 0);
    char byte;
    ssize_t count = read(*(int *)argument, &byte, 1);
    return count == 1 ? argument : NULL;
}

static void a_call_of_the_c_library_is_one(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    SKIP("AddressSanitizer takes the stack of a cancelled thread for one in use");
#endif
    int ends[2];
    pthread_t thread;
    void *result;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_the_library, ends), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_call_is_a_cancellation_point),
        cmocka_unit_test(a_call_of_the_c_library_is_one),
    };
    return RUN_GROUP(tests);
}
