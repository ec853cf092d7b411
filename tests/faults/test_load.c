/* SPDX-License-Identifier: ISC */
/*
 * The library registers its fork handlers when it is loaded, before main. The program
 * starts itself anew, and a constructor that runs before the library's makes that fail.
 */
#include <errno.h>
#include <securemem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/wrap.h"
#include "support/child.h"
#include "support/skip.h"

#define BEFORE_THE_LIBRARY 101
#define ONCE               "the registration fails once"
#define ALWAYS             "the registration fails always"

__attribute__((constructor(BEFORE_THE_LIBRARY))) static void
fail_registration(int count, char **arguments)
{
    const struct fault_plan plan = {.function = FAULT_AT_FORK,
                                    .call = 1,
                                    .result = -ENOMEM,
                                    .then = FAULT_FUNCTIONS,
                                    .onward =
                                        count == 2 && strcmp(arguments[1], ALWAYS) == 0};
    if (count == 2)
        fault_arm(&plan);
}

/* Tried again: the arena is there, and a child of it has zeros. */
static int after_one_failure(void)
{
    unsigned char *secret = securemem_alloc(32);
    if (secret == NULL || fault_calls(FAULT_AT_FORK) != 2)
        return 2;
    memset(secret, 1, 32);
    pid_t child = fork();
    if (child == 0) {
        securemem_protection says;
        _exit(secret[0] != 0 || securemem_protection(secret, &says) != 0 ||
              says.inheritance != SECUREMEM_WIPED || says.lock.holds != 1);
    }
    int status;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 3;
}

static int under_failure(void)
{
    if (securemem_alloc(32) != NULL || errno != ENOMEM)
        return 2;
    if (securemem_arena_create(NULL) != NULL || errno != ENOMEM)
        return 3;
    const securemem_error *error = securemem_last_error();
    return error->code == ENOMEM && strcmp(error->operation, "pthread_atfork") == 0 ? 0
                                                                                    : 4;
}

static int start_anew(void *argument)
{
    char *const arguments[] = {(char[]){"test_load"}, argument, NULL};
    execv("/proc/self/exe", arguments);
    return 127;
}

static void a_failed_registration_at_load_is_made_good_by_the_first_arena(void **state)
{
    (void)state;
    struct child_end end;
    child_run(start_anew, (char[]){ONCE}, &end);
    assert_int_equal(end.exit_code, 0);
}

static void without_fork_handlers_there_is_no_arena(void **state)
{
    (void)state;
    struct child_end end;
    child_run(start_anew, (char[]){ALWAYS}, &end);
    assert_int_equal(end.exit_code, 0);
}

int main(int count, char **arguments)
{
    if (count == 2)
        return strcmp(arguments[1], ONCE) == 0 ? after_one_failure() : under_failure();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_registration_at_load_is_made_good_by_the_first_arena),
        cmocka_unit_test(without_fork_handlers_there_is_no_arena),
    };
    return RUN_GROUP(tests);
}
