/* SPDX-License-Identifier: ISC */
/* How witnesses and sections begin and end: with threads, in forked children. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "unit/rt.h"

static int child_has_its_own(void *argument)
{
    (void)argument;
    need_to_see_a_fault();
    return 0;
}

static int fork_with_a_witness(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    begin();
    struct child_end child;
    child_run(child_has_its_own, NULL, &child);
    fputs(child.errors, stderr);
    NEED(child.exit_code == 0);
    end();
    return 0;
}

CAUGHT(a_forked_child_has_a_witness_of_its_own, fork_with_a_witness)

/* Where this process has the ring of its witness. */
static bool find_ring(uintptr_t *start, size_t *length)
{
    char line[300];
    unsigned long from = 0, to = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    NEED(maps != NULL);
    while (to == 0 && fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "[perf_event]") != NULL)
            NEED(sscanf(line, "%lx-%lx", &from, &to) == 2);
    NEED(fclose(maps) == 0);
    *start = from;
    *length = to - from;
    return to != 0;
}

/* The kernel leaves the ring out of a child, which may map what it likes there. */
static int map_where_the_ring_was(void *argument)
{
    const uintptr_t *ring = argument;
    char *memory = mmap((void *)ring[0], ring[1], PROT_READ | PROT_WRITE, /* NOLINT */
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    NEED(memory == (void *)ring[0]); /* NOLINT */
    memset(memory, 5, ring[1]);
    begin();
    end();
    NEED(section.witness == SECUREMEM_RT_WITNESS_PERF);
    NEED(all_bytes_are(memory, ring[1], 5));
    return 0;
}

static int fork_and_map(void *argument)
{
    uintptr_t ring[2];
    struct child_end child;
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    NEED(find_ring(&ring[0], &ring[1]));
    child_run(map_where_the_ring_was, ring, &child);
    fputs(child.errors, stderr);
    NEED(child.exit_code == 0 && child.signal == 0);
    return 0;
}

CAUGHT(a_child_that_begins_a_section_keeps_its_own_memory, fork_and_map)

static char *shared; /* by a child with its parent */

static int look_at_section_of_parent(void *argument)
{
    (void)argument;
    *(volatile char *)shared = 3; /* the child's fault, which is none of the section's */
    NEED(!securemem_rt_section_faulted(&section));
    NEED(securemem_rt_section_end(&section) == -EINVAL);
    NEED(!securemem_rt_section_faulted(&section));
    need_to_see_a_fault();
    return 0;
}

static int fork_in_a_section(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    shared = fresh(1);
    *shared = 1;
    for (int i = 0; i < 10; i++) {
        begin();
        struct child_end child;
        child_run(look_at_section_of_parent, NULL, &child);
        fputs(child.errors, stderr);
        NEED(child.exit_code == 0 && child.signal == 0);
        NEED(securemem_rt_section_faulted(&section)); /* copied what the child shared */
        end();
    }
    return 0;
}

CAUGHT(a_child_can_look_at_the_section_of_its_parent, fork_in_a_section)

static atomic_bool others_go_on = true;
static pthread_barrier_t others_began;

static void *be_another(void *argument)
{
    securemem_rt_section own = {0};
    NEED(securemem_rt_section_begin(&own) == 0);
    (void)pthread_barrier_wait(&others_began);
    while (others_go_on)
        (void)usleep(1000);
    NEED(securemem_rt_section_end(&own) == 0);
    return argument;
}

static int has_no_descriptors(void *argument)
{
    (void)argument;
    NEED(find_descriptors("[perf_event]") == 0);
    return 0;
}

static int threads_come_and_go(void *argument)
{
    enum { OTHERS = 5 };
    pthread_t threads[OTHERS];
    struct child_end child;
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    size_t own = find_descriptors("[perf_event]");
    NEED(own >= 2);
    NEED(pthread_barrier_init(&others_began, NULL, OTHERS + 1) == 0);
    for (size_t i = 0; i < OTHERS; i++)
        NEED(pthread_create(&threads[i], NULL, be_another, NULL) == 0);
    (void)pthread_barrier_wait(&others_began);
    NEED(find_descriptors("[perf_event]") == own * (OTHERS + 1));
    child_run(has_no_descriptors, NULL, &child);
    fputs(child.errors, stderr);
    NEED(child.exit_code == 0);
    others_go_on = false;
    for (size_t i = 0; i < OTHERS; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    NEED(find_descriptors("[perf_event]") == own);
    return 0;
}

CAUGHT(witnesses_end_with_their_threads_and_in_children, threads_come_and_go)

static void sections_do_not_overlap(void **state)
{
    (void)state;
    securemem_rt_section other = {0}, wrong = {.flags = 8};
    securemem_rt_section unknown = {.trap = (securemem_rt_trap_action)3};
    assert_int_equal(securemem_rt_section_begin(NULL), -EINVAL);
    assert_int_equal(securemem_rt_section_begin(&wrong), -EINVAL);
    assert_int_equal(securemem_rt_section_begin(&unknown), -EINVAL);
    assert_false(securemem_rt_section_faulted(&other));
    begin();
    assert_int_equal(securemem_rt_section_begin(&other), -EINVAL);
    assert_int_equal(securemem_rt_section_end(&other), -EINVAL);
    end();
    assert_int_equal(securemem_rt_section_end(&section), -EINVAL);
}

/* Lines are cut where they do not fit, and nothing is written past their end. */
static void descriptions_are_cut_to_size(void **state)
{
    (void)state;
    const securemem_rt_fault fault = {.instruction = (uintptr_t)&strlen,
                                      .address = (uintptr_t)&fault};
    char whole[400], cut[400];
    size_t length = securemem_rt_fault_describe(&fault, whole, sizeof whole);
    assert_true(length > 20 && length == strlen(whole));
    assert_non_null(strstr(whole, " touched "));
    assert_non_null(strstr(whole, "[stack]"));
    for (size_t size = 0; size <= length + 1; size++) {
        memset(cut, 'x', sizeof cut);
        assert_int_equal(securemem_rt_fault_describe(&fault, cut, size), length);
        assert_true(all_bytes_are(cut + size, sizeof cut - size, 'x'));
        if (size > 0)
            assert_true(strlen(cut) == size - 1 && memcmp(cut, whole, size - 1) == 0);
    }
    assert_int_equal(securemem_rt_fault_describe(&fault, NULL, 0), length);
    assert_int_equal(securemem_rt_fault_describe(&fault, NULL, 1), 0);
    assert_int_equal(securemem_rt_fault_describe(NULL, whole, sizeof whole), 0);
    assert_int_equal(securemem_last_error()->code, EINVAL);
}

#define NO_FAULT    40
#define SOME_FAULTS 41
#define NOT_ENTERED 42

/*
 * What the vDSO reads is touched by the first who asks for the time, in no forked child.
 * The mode is refused where a sanitizer maps terabytes, or the limit is too small.
 */
static int ask_for_the_time(bool entered)
{
    struct timespec now;
    if (entered) {
        securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
        int result = securemem_rt_enter(&plan);
        if (result == -ENOTSUP || result == -ENOMEM || result == -EPERM) {
            fprintf(stderr, "%s\n", securemem_last_error()->message);
            return NOT_ENTERED;
        }
        NEED(result == 0);
    }
    begin();
    NEED(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    end();
    return section.user_minor + section.user_major == 0 ? NO_FAULT : SOME_FAULTS;
}

static int ask_in_a_new_program(void *entered)
{
    const char *way = *(bool *)entered ? "entered" : "plain";
    execl("/proc/self/exe", "test_rt_sections", way, (char *)NULL);
    return 1;
}

static void who_enters_finds_the_clocks_warm(void **state)
{
    (void)state;
    struct child_end plain, entered;
    child_run(ask_in_a_new_program, &(bool){false}, &plain);
    if (plain.exit_code != SOME_FAULTS)
        SKIP("the first look at the clock faults in no new program here");
    child_run(ask_in_a_new_program, &(bool){true}, &entered);
    fputs(entered.errors, stderr);
    if (entered.exit_code == NOT_ENTERED)
        SKIP("the mode may not be entered here, for the reason above");
    assert_int_equal(entered.exit_code, NO_FAULT);
}

int main(int count, char **arguments)
{
    page = view_page_size();
    if (count > 1)
        return ask_for_the_time(strcmp(arguments[1], "entered") == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forked_child_has_a_witness_of_its_own),
        cmocka_unit_test(a_child_that_begins_a_section_keeps_its_own_memory),
        cmocka_unit_test(a_child_can_look_at_the_section_of_its_parent),
        cmocka_unit_test(witnesses_end_with_their_threads_and_in_children),
        cmocka_unit_test(sections_do_not_overlap),
        cmocka_unit_test(descriptions_are_cut_to_size),
        cmocka_unit_test(who_enters_finds_the_clocks_warm),
    };
    return RUN_GROUP(tests);
}
