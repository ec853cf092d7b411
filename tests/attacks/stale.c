/* SPDX-License-Identifier: ISC */
/* Attack: use after free, where nothing is kept idle. Control: malloc. */
#include <errno.h>
#include <signal.h>

#include "attacks/attack.h"

struct use {
    bool of_malloc, writes;
    securemem_guard_kind kind;
    size_t size, others; /* that stay alive in the same region */
    uintptr_t told;      /* the address that is used, in shared memory */
};

static int free_and_use(void *argument)
{
    struct use *use = argument;
    securemem_arena *arena = NULL;
    unsigned char *block = NULL;
    if (!use->of_malloc) {
        arena =
            securemem_arena_create(&(securemem_arena_options){.guard_kind = use->kind});
        attack_require(arena != NULL, "securemem_arena_create");
    }
    for (size_t i = 0; i <= use->others; i++) {
        unsigned char *other =
            use->of_malloc ? malloc(use->size) : securemem_arena_alloc(arena, use->size);
        attack_require(other != NULL, "an allocation");
        if (i == use->others / 2)
            block = other;
    }
    volatile unsigned char *at = (unsigned char *)hidden(block) + use->size - 1;
    *at = 1;
    use->told = (uintptr_t)at;
    if (use->of_malloc)
        free(hidden(block));
    else
        securemem_free(block);
    if (use->writes)
        *at = 2;
    else
        (void)*at;
    return 0;
}

static struct child_end attacked(struct use use, uintptr_t *at)
{
    struct use *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    *shared = use;
    struct child_end end;
    child_run(free_and_use, shared, &end);
    *at = shared->told;
    munmap(shared, sizeof *shared);
    return end;
}

static void attack_all(size_t others)
{
    size_t page = view_page_size();
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds);
    const size_t sizes[] = {32, page, 3 * page};
    uintptr_t at;
    for (int writes = 0; writes < 2; writes++) {
        struct child_end control = attacked(
            (struct use){
                .of_malloc = true, .writes = writes, .size = 32, .others = others},
            &at);
        assert_int_equal(control.signal, 0);
        assert_int_equal(control.exit_code, 0);
        for (size_t i = 0; i < count * COUNT(sizes); i++) {
            struct child_end end = attacked((struct use){.writes = writes,
                                                         .kind = kinds[i / COUNT(sizes)],
                                                         .size = sizes[i % COUNT(sizes)],
                                                         .others = others},
                                            &at);
            assert_string_equal(end.errors, "");
            assert_int_equal(end.signal, SIGSEGV);
            assert_int_equal(end.fault, at);
        }
    }
}

static void a_freed_lone_secret_faults_at_the_byte_that_is_used(void **state)
{
    (void)state;
    attack_all(0);
    securemem_guard_kind kinds[2];
    SAY_WHICH_KINDS(attack_guard_kinds(kinds));
}

static void a_freed_secret_among_live_ones_faults_at_the_byte_that_is_used(void **state)
{
    (void)state;
    attack_all(1);
    attack_all(50);
    securemem_guard_kind kinds[2];
    SAY_WHICH_KINDS(attack_guard_kinds(kinds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_freed_lone_secret_faults_at_the_byte_that_is_used),
        cmocka_unit_test(a_freed_secret_among_live_ones_faults_at_the_byte_that_is_used),
    };
    return RUN_GROUP(tests);
}
