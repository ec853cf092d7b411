/* SPDX-License-Identifier: ISC */
/* Misuse while the kernel refuses: secrets are wiped before the process ends. */
#include <errno.h>
#include <securemem.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults/wrap.h"
#include "support/child.h"
#include "support/skip.h"
#include "support/smaps.h"

#define SIZE        100
#define WIPED       40
#define NOT_WIPED   41
#define FOUND_WRONG 42

static unsigned char *open_secret, *closed_secret;

static bool holds_secret(const unsigned char *secret)
{
    unsigned char bytes[SIZE];
    if (!smaps_bytes(secret, bytes, sizeof bytes))
        return true;
    for (size_t i = 0; i < sizeof bytes; i++)
        if (bytes[i] != 0)
            return true;
    return false;
}

/* In place of dying: looks at what the process would have died with. */
static void on_abort(int number)
{
    (void)number;
    _exit(holds_secret(open_secret) || holds_secret(closed_secret) ? NOT_WIPED : WIPED);
}

static int free_twice(void *plan)
{
    open_secret = securemem_alloc(SIZE);
    closed_secret = securemem_alloc(SIZE);
    void *freed = securemem_alloc(SIZE);
    if (open_secret == NULL || closed_secret == NULL || freed == NULL)
        return FOUND_WRONG;
    memset(open_secret, 'o', SIZE);
    memset(closed_secret, 'c', SIZE);
    if (securemem_set_access(closed_secret, SECUREMEM_NONE) != 0)
        return FOUND_WRONG;
    securemem_free(freed);
    signal(SIGABRT, on_abort);
    fault_arm(plan);
    securemem_free(freed);
    return FOUND_WRONG;
}

static struct fault_state *shared_state(void)
{
    struct fault_state *state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(state, MAP_FAILED);
    fault_use(state);
    return state;
}

static void run(enum fault_function function, unsigned call, int result, bool onward,
                struct child_end *end)
{
    struct fault_plan plan = {.function = function,
                              .call = call,
                              .result = result,
                              .onward = onward,
                              .then = FAULT_FUNCTIONS};
    child_run(free_twice, &plan, end);
    assert_int_equal(end->signal, 0);
}

static unsigned faults;

/* At each of its calls, once and from there on. */
static void secrets_are_wiped_though_fails(enum fault_function function, int result)
{
    struct child_end end;
    run(FAULT_FUNCTIONS, 0, 0, false, &end);
    assert_int_equal(end.exit_code, WIPED);
    unsigned calls = fault_calls(function);
    assert_true(calls > 0);
    for (unsigned call = 1; call <= calls; call++)
        for (int onward = 0; onward <= (result != -EINTR); onward++) {
            run(function, call, result, onward, &end);
            assert_int_equal(end.exit_code, WIPED);
            if (function != FAULT_WRITE)
                assert_non_null(strstr(end.errors, "securemem: double free of 0x"));
            faults++;
        }
}

static void misuse_wipes_all_secrets_though_files_and_descriptors_fail(void **state)
{
    (void)state;
    shared_state();
    secrets_are_wiped_though_fails(FAULT_OPEN, -ENOENT);
    secrets_are_wiped_though_fails(FAULT_OPEN, -EMFILE);
    secrets_are_wiped_though_fails(FAULT_READ, -EIO);
    secrets_are_wiped_though_fails(FAULT_READ, -EPERM);
    secrets_are_wiped_though_fails(FAULT_READ, -EINTR);
    secrets_are_wiped_though_fails(FAULT_READ, 0);
    secrets_are_wiped_though_fails(FAULT_CLOSE, -EIO);
    secrets_are_wiped_though_fails(FAULT_WRITE, -EPIPE);
}

static void misuse_says_how_many_secrets_could_not_be_wiped(void **state)
{
    (void)state;
    shared_state();
    struct child_end end;
    run(FAULT_PROTECT, 1, -EPERM, true, &end);
    assert_int_equal(end.exit_code, NOT_WIPED);
    assert_non_null(strstr(end.errors, "; secrets that could not be wiped: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_wipes_all_secrets_though_files_and_descriptors_fail),
        cmocka_unit_test(misuse_says_how_many_secrets_could_not_be_wiped),
    };
    int status = RUN_GROUP(tests);
    printf("NOTE: %u fault points of misuse\n", faults);
    return status;
}
