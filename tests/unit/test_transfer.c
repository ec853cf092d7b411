/* SPDX-License-Identifier: ISC */
/* Secrets in and out by descriptors and encodings, and random ones. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/unit.h"

#define SIZE 5000

static unsigned char wanted[SIZE];

static void draw(void)
{
    for (size_t i = 0; i < SIZE; i++)
        wanted[i] = (unsigned char)(i * 2654435761U >> 5);
}

/* A writer that gives a byte or a few at a time, with pauses in which signals come. */
struct trickle {
    int fd;
    size_t length;
    pthread_t reader;
};

static void ignore(int signal)
{
    (void)signal;
}

static void *trickle(void *argument)
{
    struct trickle *t = argument;
    for (size_t done = 0; done < t->length;) {
        size_t part = 1 + done % 97;
        if (part > t->length - done)
            part = t->length - done;
        NEED(write(t->fd, wanted + done, part) == (ssize_t)part);
        done += part;
        if (done % 5 == 0)
            NEED(pthread_kill(t->reader, SIGUSR1) == 0);
    }
    close(t->fd);
    return NULL;
}

static void reads_are_whole_whatever_comes_between(void **state)
{
    (void)state;
    const struct sigaction action = {.sa_handler = ignore};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    for (int blocking = 0; blocking < 2; blocking++)
        for (int sockets = 0; sockets < 2; sockets++) {
            int ends[2];
            assert_int_equal(
                sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
            if (!blocking)
                assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
            struct trickle t = {ends[1], SIZE, pthread_self()};
            pthread_t writer;
            assert_int_equal(pthread_create(&writer, NULL, trickle, &t), 0);
            unsigned char *secret = securemem_alloc(SIZE);
            assert_int_equal(securemem_read_fd(ends[0], secret, SIZE), 0);
            assert_memory_equal(secret, wanted, SIZE);
            pthread_join(writer, NULL);
            securemem_free(secret);
            close(ends[0]);
        }
}

static void what_ends_early_leaves_zeros(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    unsigned char *secret = securemem_alloc(100);
    memset(secret, 0xee, 100);
    assert_int_equal(write(ends[1], wanted, 90), 90);
    close(ends[1]);
    assert_int_equal(securemem_read_fd(ends[0], secret, 100), -ENODATA);
    assert_true(all_bytes_are(secret, 90, 0));
    assert_true(all_bytes_are(secret + 90, 10, 0xee));
    assert_int_equal(securemem_last_error()->needed, 100);
    assert_int_equal(securemem_last_error()->in_use, 90);
    close(ends[0]);
    assert_int_equal(securemem_read_fd(ends[0], secret, 100), -EBADF);
    assert_int_equal(securemem_write_fd(ends[0], secret, 100), -EBADF);
    assert_int_equal(securemem_read_fd(0, NULL, 1), -EINVAL);
    assert_int_equal(securemem_write_fd(0, NULL, 1), -EINVAL);
    securemem_free(secret);
}

/* Nothing came, so that nothing has to be wiped, where it could not be. */
static int refuse_into_a_closed_one(void *argument)
{
    (void)argument;
    int ended = open("/dev/null", O_RDONLY | O_CLOEXEC);
    unsigned char *secret = securemem_alloc(16);
    const securemem_access accesses[] = {SECUREMEM_NONE, SECUREMEM_READ};
    NEED(secret != NULL && ended >= 0);
    for (size_t i = 0; i < COUNT(accesses); i++) {
        NEED(securemem_set_access(secret, accesses[i]) == 0);
        NEED(securemem_read_fd(ended, secret, 16) == -ENODATA);
        NEED(securemem_read_fd(-1, secret, 16) == -EBADF);
    }
    securemem_free(secret);
    close(ended);
    return 0;
}

static void a_refusal_writes_to_no_closed_secret(void **state)
{
    (void)state;
    CHILD_PASSES(refuse_into_a_closed_one, NULL);
}

/* What is beside a secret is neither read over nor given away. */
static void no_more_than_a_secret_has_is_read_or_written(void **state)
{
    (void)state;
    const securemem_placement placements[] = {SECUREMEM_GUARDED, SECUREMEM_PACKED};
    for (size_t i = 0; i < COUNT(placements); i++) {
        securemem_arena *arena =
            arena_of((securemem_arena_options){.placement = placements[i]});
        unsigned char *secrets[8], got[100];
        int ends[2];
        assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
        for (size_t j = 0; j < COUNT(secrets); j++) {
            secrets[j] = securemem_arena_alloc(arena, 40);
            assert_non_null(secrets[j]);
            memset(secrets[j], 0xee, 40);
        }
        assert_int_equal(securemem_write_fd(ends[1], secrets[3], 41), -EINVAL);
        assert_int_equal(securemem_last_error()->limit, 40);
        assert_int_equal(read(ends[0], got, sizeof got), -1);
        assert_int_equal(write(ends[1], wanted, 41), 41);
        assert_int_equal(securemem_read_fd(ends[0], secrets[3], 41), -EINVAL);
        for (size_t j = 0; j < COUNT(secrets); j++)
            assert_true(all_bytes_are(secrets[j], 40, 0xee));
        assert_int_equal(securemem_read_fd(ends[0], secrets[3], 40), 0);
        assert_memory_equal(secrets[3], wanted, 40);
        close(ends[0]);
        close(ends[1]);
        securemem_arena_destroy(arena);
    }
}

static void a_closed_secret_is_named_as_the_reason(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    unsigned char *secret = securemem_alloc(16);
    assert_int_equal(securemem_set_access(secret, SECUREMEM_NONE), 0);
    assert_int_equal(write(ends[1], wanted, 16), 16);
    assert_int_equal(securemem_read_fd(ends[0], secret, 16), -EFAULT);
    assert_non_null(strstr(securemem_last_error()->message, "securemem_open"));
    assert_int_equal(securemem_write_fd(ends[1], secret, 16), -EFAULT);
    assert_int_equal(securemem_read_fd(-1, secret, 16), -EBADF); /* it is not touched */
    assert_int_equal(securemem_open(secret, SECUREMEM_WRITE), 0);
    assert_int_equal(securemem_read_fd(ends[0], secret, 16), 0);
    assert_memory_equal(secret, wanted, 16);
    close(ends[0]);
    close(ends[1]);
    securemem_free(secret);
}

/* Where the caller takes more than is left of a secret, from a pipe or a file. */
static void what_came_before_the_end_of_a_secret_is_zeros(void **state)
{
    (void)state;
    int ends[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0 && pipe(ends) == 0);
    assert_int_equal(write(ends[1], wanted, 32), 32);
    const int sources[] = {ends[0], file};
    for (size_t i = 0; i < COUNT(sources); i++) {
        unsigned char *secret = securemem_alloc(64);
        memset(secret, 0x11, 64);
        assert_int_equal(securemem_read_fd(sources[i], secret + 48, 32), -EFAULT);
        assert_true(all_bytes_are(secret, 48, 0x11));
        assert_true(all_bytes_are(secret + 48, 16, 0));
        securemem_free(secret);
    }
    close(ends[0]);
    close(ends[1]);
    close(file);
}

struct drain {
    int fd;
    unsigned char got[1 << 18];
    size_t length;
};

static void *drain(void *argument)
{
    struct drain *d = argument;
    for (ssize_t got; (got = read(d->fd, d->got + d->length, 333)) > 0;) {
        d->length += (size_t)got;
        usleep(20);
    }
    return NULL;
}

/* More than a pipe holds, to a slow reader, blocking or not. */
static void writes_are_whole_whatever_the_reader_does(void **state)
{
    (void)state;
    static struct drain d;
    for (int blocking = 0; blocking < 2; blocking++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        if (!blocking)
            assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        d.fd = ends[0];
        d.length = 0;
        unsigned char *secret = securemem_random(NULL, sizeof d.got);
        pthread_t reader;
        assert_int_equal(pthread_create(&reader, NULL, drain, &d), 0);
        assert_int_equal(securemem_write_fd(ends[1], secret, sizeof d.got), 0);
        close(ends[1]);
        pthread_join(reader, NULL);
        assert_int_equal(d.length, sizeof d.got);
        assert_memory_equal(d.got, secret, sizeof d.got);
        close(ends[0]);
        securemem_free(secret);
    }
}

static void a_reader_that_is_gone_is_an_error(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    char *secret = securemem_alloc(10);
    assert_int_equal(securemem_write_fd(ends[1], secret, 10), -EPIPE);
    signal(SIGPIPE, before);
    close(ends[1]);
    securemem_free(secret);
}

static void encodings_go_both_ways_and_refuse_what_is_malformed(void **state)
{
    (void)state;
    for (size_t size = 0; size < 100; size++) {
        char *hex = securemem_to_hex(NULL, wanted, size);
        char *base64 = securemem_to_base64(NULL, wanted, size);
        char expected[512];
        assert_string_equal(hex, sodium_bin2hex(expected, sizeof expected, wanted, size));
        assert_int_equal(securemem_size(hex), 2 * size + 1);
        assert_string_equal(base64,
                            sodium_bin2base64(expected, sizeof expected, wanted, size,
                                              sodium_base64_VARIANT_ORIGINAL));
        unsigned char *one = securemem_from_hex(NULL, hex, strlen(hex));
        unsigned char *two = securemem_from_base64(NULL, base64, strlen(base64));
        assert_true(one != NULL && two != NULL);
        assert_int_equal(securemem_size(one), size);
        assert_int_equal(securemem_size(two), size);
        assert_memory_equal(one, wanted, size);
        assert_memory_equal(two, wanted, size);
        securemem_free(hex);
        securemem_free(base64);
        securemem_free(one);
        securemem_free(two);
    }
    size_t secrets = budget_now().secrets;
    const char *not_hex[] = {"abc", "zz", "ab ", "ab\n", " ab", "0x12"};
    for (size_t i = 0; i < COUNT(not_hex); i++) {
        assert_null(securemem_from_hex(NULL, not_hex[i], strlen(not_hex[i])));
        assert_int_equal(errno, EINVAL);
    }
    const char *not_base64[] = {"QQ",   "QQ=",    "Q===", "QUI",
                                "QU B", "QQ==\n", "QR==", "_-=="};
    for (size_t i = 0; i < COUNT(not_base64); i++) {
        assert_null(securemem_from_base64(NULL, not_base64[i], strlen(not_base64[i])));
        assert_int_equal(errno, EINVAL);
    }
    assert_null(securemem_from_hex(NULL, NULL, 2));
    const size_t beyond[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 2, SIZE_MAX / 4 * 3};
    for (size_t i = 0; i < COUNT(beyond); i++) {
        errno = 0; /* more text than there are addresses */
        assert_null(securemem_to_hex(NULL, wanted, beyond[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(securemem_to_base64(NULL, wanted, beyond[i]));
        assert_int_equal(errno, ENOMEM);
    }
    assert_null(securemem_to_hex(NULL, NULL, 2));
    assert_int_equal(budget_now().secrets, secrets);
}

static char *sample(securemem_arena *arena, size_t which)
{
    static char words[] = "00ff", path[] = "/proc/self/comm";
    char argument[] = "argument";
    securemem_sealed *sealed;
    char *made;
    switch (which) {
    case 0:
        return securemem_random(arena, 32);
    case 1:
        return securemem_from_hex(arena, words, 4);
    case 2:
        return securemem_from_base64(arena, "Zm9v", 4);
    case 3:
        return securemem_to_hex(arena, "ab", 2);
    case 4:
        return securemem_to_base64(arena, "ab", 2);
    case 5:
        return securemem_take_arg(arena, argument);
    case 6:
        return securemem_read_file(arena, path, 100, NULL);
    default:
        sealed = securemem_seal("sealed", 7, 0);
        made = securemem_unseal(sealed, arena);
        securemem_sealed_free(sealed);
        return made;
    }
}

/* By a key, or where there is none by the access of every page. */
static void what_comes_into_a_closed_arena_is_closed(void **state)
{
    (void)state;
    const char *wanted_by[] = {NULL,   "\x00\xff", "foo", "6162",
                               "YWI=", "argument", NULL,  "sealed"};
    const size_t sizes[] = {32, 2, 3, 5, 5, 9, 0, 7};
    for (int placement = SECUREMEM_GUARDED; placement <= SECUREMEM_PACKED; placement++) {
        securemem_arena *arena = arena_of(
            (securemem_arena_options){.protection_key = SECUREMEM_PREFERRED,
                                      .placement = (securemem_placement)placement});
        for (size_t i = 0; i < COUNT(sizes); i++) {
            errno = 77;
            char *secret = sample(arena, i);
            assert_non_null(secret);
            assert_int_equal(errno, 77);
            assert_false(view_readable(secret));
            assert_int_equal(securemem_arena_open(arena, SECUREMEM_READ), 0);
            if (wanted_by[i] != NULL)
                assert_memory_equal(secret, wanted_by[i], sizes[i]);
            assert_int_equal(securemem_arena_close(arena), 0);
            assert_false(view_readable(secret));
        }
        assert_null(securemem_from_hex(arena, "0g", 2));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(securemem_arena_close(arena), -EINVAL); /* no scope is left */
        securemem_arena_destroy(arena);
    }
}

static void random_secrets_differ(void **state)
{
    (void)state;
    unsigned char *one = securemem_random(NULL, 32), *two = securemem_random(NULL, 32);
    assert_true(one != NULL && two != NULL);
    assert_memory_not_equal(one, two, 32);
    securemem_free(one);
    securemem_free(two);
}

static int prepare(void **state)
{
    (void)state;
    draw();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_whole_whatever_comes_between),
        cmocka_unit_test(what_ends_early_leaves_zeros),
        cmocka_unit_test(a_refusal_writes_to_no_closed_secret),
        cmocka_unit_test(no_more_than_a_secret_has_is_read_or_written),
        cmocka_unit_test(a_closed_secret_is_named_as_the_reason),
        cmocka_unit_test(what_came_before_the_end_of_a_secret_is_zeros),
        cmocka_unit_test(writes_are_whole_whatever_the_reader_does),
        cmocka_unit_test(a_reader_that_is_gone_is_an_error),
        cmocka_unit_test(encodings_go_both_ways_and_refuse_what_is_malformed),
        cmocka_unit_test(what_comes_into_a_closed_arena_is_closed),
        cmocka_unit_test(random_secrets_differ),
    };
    return skip_status(cmocka_run_group_tests(tests, prepare, NULL),
                       sizeof(tests) / sizeof *(tests));
}
