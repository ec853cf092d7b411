/* SPDX-License-Identifier: ISC */
/* Misuse without a handler: one line, every secret wiped, abort. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "unit/unit.h"

/* Shared with the child that dies, which leaves its pointer here. */
static void **shared;

static int double_free(void *unused)
{
    (void)unused;
    char *secret = securemem_alloc(24);
    *shared = secret;
    securemem_free(secret);
    securemem_free(secret);
    return 0;
}

static int interior_free(void *unused)
{
    (void)unused;
    char *secret = securemem_alloc(24);
    *shared = secret + 8;
    securemem_free(secret + 8);
    return 0;
}

static int foreign_free(void *unused)
{
    *shared = &unused;
    securemem_free(&unused);
    return 0;
}

static int wrong_arena_free(void *unused)
{
    (void)unused;
    char *secret = securemem_alloc(24);
    *shared = secret;
    securemem_arena_free(securemem_arena_create(NULL), secret);
    return 0;
}

static int canary_before(void *unused)
{
    (void)unused;
    char *secret = securemem_alloc(24);
    *shared = secret;
    secret[-1] = 0;
    securemem_free(secret);
    return 0;
}

static int canary_behind(void *unused)
{
    (void)unused;
    char *secret = securemem_alloc(24);
    *shared = secret;
    secret[24] = 0;
    securemem_free(secret);
    return 0;
}

static int canary_at_destroy(void *unused)
{
    (void)unused;
    securemem_arena *arena = securemem_arena_create(NULL);
    char *secret = securemem_arena_alloc(arena, 24);
    *shared = secret;
    secret[24] = 0;
    securemem_arena_destroy(arena);
    return 0;
}

static int not_an_arena(void *unused)
{
    (void)unused;
    securemem_arena *arena = securemem_arena_create(NULL);
    *shared = arena;
    securemem_arena_destroy(arena);
    securemem_arena_destroy(arena);
    return 0;
}

static int default_arena(void *unused)
{
    (void)unused;
    *shared = securemem_default_arena();
    securemem_arena_destroy(*shared);
    return 0;
}

static void misuse_without_a_handler_says_one_line_and_aborts(void **state)
{
    (void)state;
    static const struct {
        int (*body)(void *);
        const char *words;
    } cases[] = {
        {double_free, "double free of "},
        {interior_free, "free of a pointer that is not the start of a secret: "},
        {foreign_free, "free of a foreign pointer: "},
        {wrong_arena_free, "free in the wrong arena of "},
        {canary_before, "bytes around a secret were overwritten: "},
        {canary_behind, "bytes around a secret were overwritten: "},
        {canary_at_destroy, "bytes around a secret were overwritten: "},
        {not_an_arena, "use of what is not a live arena: "},
        {default_arena, "use of what is not a live arena: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct child_end end;
        child_run(cases[i].body, NULL, &end);
        char line[256];
        snprintf(line, sizeof line, "securemem: %s0x%lx\n", cases[i].words,
                 (unsigned long)(uintptr_t)*shared);
        assert_int_equal(end.signal, SIGABRT);
        assert_string_equal(end.errors, line);
    }
}

#define WITNESSES 12

static const char *witnesses[WITNESSES];
static size_t witness_sizes[WITNESSES];

/*
 * abort(3) raises SIGABRT: what secrets hold then is looked at through /proc/self/mem,
 * which reads whatever their access is. The exit status is the number not wiped.
 */
static void look(int number)
{
    (void)number;
    int left = 0, memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < WITNESSES; i++) {
        static char bytes[1 << 16];
        ssize_t count =
            pread(memory, bytes, witness_sizes[i], (off_t)(uintptr_t)witnesses[i]);
        left += count != (ssize_t)witness_sizes[i] ||
                !all_bytes_are(bytes, witness_sizes[i], 0);
    }
    _exit(left);
}

static int abort_among_secrets(void *misuse)
{
    securemem_guard_kind kinds[2];
    size_t kind_count = guard_kinds(kinds);
    for (size_t i = 0; i < WITNESSES; i++) {
        securemem_arena *arena = securemem_arena_create(
            &(securemem_arena_options){.guard_kind = kinds[i % kind_count]});
        size_t size = 1 + i * 1000;
        char *secret = securemem_arena_alloc(arena, size);
        NEED(secret != NULL);
        memset(secret, 0x99, size);
        NEED(securemem_set_access(secret, (securemem_access)(i / 2 % 3)) == 0);
        witnesses[i] = secret;
        witness_sizes[i] = size;
    }
    signal(SIGABRT, look);
    if (misuse != NULL)
        securemem_free(&kinds);
    else
        raise(SIGABRT); /* the control: without misuse nothing is wiped */
    return 100;
}

static void misuse_wipes_every_secret_before_it_aborts(void **state)
{
    (void)state;
    struct child_end end;
    child_run(abort_among_secrets, NULL, &end);
    assert_int_equal(end.exit_code, WITNESSES);
    child_run(abort_among_secrets, &end, &end);
    assert_int_equal(end.exit_code, 0);
}

int main(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_without_a_handler_says_one_line_and_aborts),
        cmocka_unit_test(misuse_wipes_every_secret_before_it_aborts),
    };
    return RUN_GROUP(tests);
}
