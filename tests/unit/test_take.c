/* SPDX-License-Identifier: ISC */
/*
 * Secrets out of the environment and the arguments. The kernel says what is left of them:
 * /proc/PID/environ and cmdline, of a process that was started with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/unit.h"

#define NAME   "SECUREMEM_TAKEN"
#define VALUE  "seven-times-seven"
#define SECOND "eight-times-eight"

/* How often text is in a file of /proc/self. */
static size_t count_in(const char *path, const char *text)
{
    static char bytes[1 << 16];
    size_t length = 0, count = 0, text_length = strlen(text);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    NEED(file >= 0);
    for (ssize_t got; (got = read(file, bytes + length, sizeof bytes - length)) > 0;)
        length += (size_t)got;
    close(file);
    for (size_t i = 0; i + text_length <= length; i++)
        count += memcmp(bytes + i, text, text_length) == 0;
    memset(bytes, 0, length);
    return count;
}

/* Started with NAME twice in its environment, and VALUE as an argument. */
static int take_both(char **argv)
{
    NEED(count_in("/proc/self/environ", VALUE) == 1);
    NEED(count_in("/proc/self/environ", SECOND) == 1);
    NEED(count_in("/proc/self/cmdline", VALUE) == 1);
    errno = 77;
    char *variable = securemem_take_env(NULL, NAME);
    char *argument = securemem_take_arg(NULL, argv[2]);
    NEED(errno == 77);
    NEED(variable != NULL && argument != NULL);
    NEED(strcmp(variable, VALUE) == 0 && strcmp(argument, VALUE) == 0);
    NEED(securemem_size(variable) == sizeof VALUE);
    NEED(securemem_size(argument) == sizeof VALUE);
    NEED(getenv(NAME) == NULL && argv[2][0] == '\0');
    NEED(count_in("/proc/self/environ", VALUE) == 0);
    NEED(count_in("/proc/self/environ", SECOND) == 0);
    NEED(count_in("/proc/self/environ", NAME "X=kept") == 1);
    NEED(count_in("/proc/self/environ", "X" NAME "=kept") == 1);
    NEED(count_in("/proc/self/cmdline", VALUE) == 0);
    NEED(count_in("/proc/self/cmdline", "neighbour") == 1);
    NEED(strcmp(getenv(NAME "X"), "kept") == 0);
    securemem_free(variable);
    securemem_free(argument);
    return 0;
}

static int start_with_both(void *argument)
{
    (void)argument;
    char *const arguments[] = {(char[]){"test_take"}, (char[]){"--take"}, (char[]){VALUE},
                               (char[]){"neighbour"}, NULL};
    char *const environment[] = {(char[]){NAME "X=kept"}, (char[]){NAME "=" VALUE},
                                 (char[]){"X" NAME "=kept"}, (char[]){NAME "=" SECOND},
                                 NULL};
    execve("/proc/self/exe", arguments, environment);
    return 127;
}

static void proc_shows_nothing_of_what_was_taken(void **state)
{
    (void)state;
    CHILD_PASSES(start_with_both, NULL);
}

static void what_is_no_variable_is_refused_and_what_is_refused_stays(void **state)
{
    (void)state;
    const char *names[] = {NULL, "", "A=B", "="};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_null(securemem_take_env(NULL, names[i]));
        assert_int_equal(errno, EINVAL);
    }
    unsetenv(NAME);
    assert_null(securemem_take_env(NULL, NAME));
    assert_int_equal(errno, ENOENT);
    assert_null(securemem_take_arg(NULL, NULL));
    assert_int_equal(errno, EINVAL);

    securemem_arena *arena = arena_of((securemem_arena_options){.budget = 1});
    char argument[] = VALUE;
    setenv(NAME, VALUE, 1);
    assert_null(securemem_take_env(arena, NAME));
    assert_int_equal(errno, ENOMEM);
    assert_string_equal(getenv(NAME), VALUE);
    assert_null(securemem_take_arg(arena, argument));
    assert_string_equal(argument, VALUE);
    securemem_arena_destroy(arena);
    unsetenv(NAME);
}

static void values_of_any_length_are_taken_and_wiped(void **state)
{
    (void)state;
    static char variable[sizeof NAME + 10000];
    const size_t lengths[] = {0, 1, 31, 4095, 4096, 10000 - 1};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char *value = variable + sizeof NAME;
        memset(variable, 0, sizeof variable);
        memcpy(variable, NAME "=", sizeof NAME);
        memset(value, 'v', lengths[i]);
        assert_int_equal(putenv(variable), 0);
        char *secret = securemem_take_env(NULL, NAME);
        assert_non_null(secret);
        assert_int_equal(securemem_size(secret), lengths[i] + 1);
        assert_true(all_bytes_are(secret, lengths[i], 'v') && secret[lengths[i]] == '\0');
        assert_true(all_bytes_are(value, lengths[i] + 1, 0));
        assert_null(getenv(NAME));
        securemem_free(secret);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--take") == 0)
        return take_both(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proc_shows_nothing_of_what_was_taken),
        cmocka_unit_test(what_is_no_variable_is_refused_and_what_is_refused_stays),
        cmocka_unit_test(values_of_any_length_are_taken_and_wiped),
    };
    return RUN_GROUP(tests);
}
