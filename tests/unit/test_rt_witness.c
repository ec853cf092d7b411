/* SPDX-License-Identifier: ISC */
/* Faults that are planted in a section, and what the section says of them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#define TIMES 100

static securemem_rt_section section;
static size_t page;
static char *target; /* what the planted instruction touches */

/* Fresh memory, not in memory yet. */
static char *fresh(size_t pages)
{
    char *start = mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(start != MAP_FAILED);
    return start;
}

/* The planted instructions: exported, so that their names can be told. */
void plant_in_heap(void);
void plant_on_stack(void);
void plant_after_fork(void);

__attribute__((noinline)) void plant_in_heap(void)
{
    *(volatile char *)target = 1;
}

__attribute__((noinline)) void plant_on_stack(void)
{
    volatile char *deep = __builtin_alloca(64);
    deep -= 100 * page; /* further down than anything was */
    target = (char *)(uintptr_t)deep;
    *deep = 1;
}

__attribute__((noinline)) void plant_after_fork(void)
{
    *(volatile char *)target = 2;
}

static void begin(void)
{
    NEED(securemem_rt_section_begin(&section) == 0);
}

static void end(void)
{
    NEED(securemem_rt_section_end(&section) == 0);
}

static bool has_perf(void)
{
    begin();
    end();
    return section.witness == SECUREMEM_RT_WITNESS_PERF;
}

/* One fault, at target, by that function, as its record and its description say. */
static void need_one_fault_in(const char *function)
{
    char line[300];
    NEED(section.user_minor + section.user_major == 1);
    NEED(section.recorded == 1 && section.lost == 0);
    NEED(section.faults[0].thread == (uint32_t)syscall(SYS_gettid));
    NEED(section.faults[0].address / page == (uintptr_t)target / page);
    NEED(securemem_rt_fault_describe(&section.faults[0], line, sizeof line) > 0);
    if (strncmp(line, function, strlen(function)) != 0)
        fprintf(stderr, "%s\n", line);
    NEED(strncmp(line, function, strlen(function)) == 0);
    NEED(line[strlen(function)] == '+');
}

static void work_without_faults(void)
{
    volatile char *warm = target;
    for (int i = 0; i < 1000; i++)
        warm[i] = (char)i;
}

static int sections_without_faults(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    target = fresh(1);
    work_without_faults();
    for (int i = 0; i < TIMES; i++) {
        begin();
        work_without_faults();
        NEED(!securemem_rt_section_faulted(&section));
        end();
        NEED(section.user_minor == 0 && section.user_major == 0);
        NEED(section.recorded == 0 && section.system == 0 && section.populated == 0);
    }
    return 0;
}

static int fresh_heap(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    char *memory = fresh(TIMES);
    for (int i = 0; i < TIMES; i++) {
        target = memory + (size_t)i * page + 17;
        begin();
        NEED(!securemem_rt_section_faulted(&section));
        plant_in_heap();
        NEED(securemem_rt_section_faulted(&section));
        end();
        need_one_fault_in("plant_in_heap");
        NEED(section.faults[0].address == (uintptr_t)target && !section.faults[0].major);
    }
    return 0;
}

/* More faults than the list has room for, and than the ring. */
static int many_faults(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    static const size_t numbers[] = {SECUREMEM_RT_FAULTS, SECUREMEM_RT_FAULTS + 1, 300,
                                     5000, 3};
    for (size_t n = 0; n < COUNT(numbers); n++) {
        char *memory = fresh(numbers[n]);
        begin();
        for (size_t i = 0; i < numbers[n]; i++)
            memory[i * page] = 1;
        end();
        NEED(section.user_minor == numbers[n]);
        NEED(section.recorded ==
             (numbers[n] < SECUREMEM_RT_FAULTS ? numbers[n] : SECUREMEM_RT_FAULTS));
        for (size_t i = 0; i < section.recorded; i++)
            NEED(section.faults[i].address == (uintptr_t)memory + i * page);
        if (numbers[n] == 5000) /* of 48 bytes each, on 16 pages */
            NEED(section.lost > 3000 && section.lost < 5000 - SECUREMEM_RT_FAULTS);
        else
            NEED(section.lost == 0);
    }
    return 0;
}

/* A thread's stack, whose untouched part is far below. */
static void *touch_new_stack(void *argument)
{
    (void)has_perf();
    begin();
    plant_on_stack();
    end();
    need_one_fault_in("plant_on_stack");
    return argument;
}

static int untouched_stack(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    for (int i = 0; i < TIMES; i++) {
        pthread_t thread;
        pthread_attr_t attributes;
        char *stack = fresh(256); /* glibc would use a stack again */
        NEED(pthread_attr_init(&attributes) == 0);
        NEED(pthread_attr_setstack(&attributes, stack, 256 * page) == 0);
        NEED(pthread_create(&thread, &attributes, touch_new_stack, NULL) == 0);
        NEED(pthread_join(thread, NULL) == 0);
        NEED(pthread_attr_destroy(&attributes) == 0);
        NEED(munmap(stack, 256 * page) == 0);
    }
    return 0;
}

static int copy_after_fork(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    target = fresh(1) + 5;
    for (int i = 0; i < TIMES; i++) {
        *target = 1;
        pid_t pid = fork();
        if (pid == 0) {
            (void)pause();
            _exit(0);
        }
        NEED(pid > 0);
        (void)has_perf(); /* what the section itself touches is copied before */
        volatile char here = 0;
        here++;
        begin();
        plant_after_fork();
        end();
        NEED(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        bool seen = false;
        for (size_t k = 0; k < section.recorded; k++)
            seen = seen || section.faults[k].address == (uintptr_t)target;
        NEED(seen && section.user_minor >= 1);
    }
    return 0;
}

static int read_into_new_buffer(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    NEED(zeros >= 0);
    char *memory = fresh(TIMES);
    for (int i = 0; i < TIMES; i++) {
        begin();
        NEED(read(zeros, memory + (size_t)i * page, 10) == 10);
        end();
        NEED(section.user_minor == 0 && section.user_major == 0);
        NEED(section.system == 1 && section.populated == 0);
    }
    NEED(close(zeros) == 0);
    return 0;
}

static int populate(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    begin();
    char *memory = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    end();
    NEED(memory != MAP_FAILED);
    NEED(section.user_minor == 0);
    if (section.divided)
        NEED(section.populated >= 1 && section.system == 0);
    else
        NEED(section.system >= 1 && section.populated == 0);
    return 0;
}

/* In a process of its own, where nobody has called the function yet. */
static int first_call(void *path)
{
    if (!has_perf())
        return SKIP_EXIT;
    void *library = dlopen(path, RTLD_LAZY);
    NEED(library != NULL);
    int (*call)(int);
    *(void **)&call = dlsym(library, "lazy_call");
    int (*warm)(int);
    *(void **)&warm = dlsym(library, "lazy_warm");
    NEED(call != NULL && warm != NULL && warm(-3) == 3);
    begin();
    NEED(call(-7) == 7);
    end();
    NEED(section.user_minor + section.user_major >= 1);
    bool seen = false;
    for (size_t i = 0; i < section.recorded; i++) {
        char line[300];
        (void)securemem_rt_fault_describe(&section.faults[i], line, sizeof line);
        seen = seen || strncmp(line, "lazy_other+", strlen("lazy_other+")) == 0;
    }
    NEED(seen);
    begin();
    NEED(call(-7) == 7);
    end();
    NEED(section.user_minor + section.user_major == 0);
    return 0;
}

static char *lazy_path;

static void the_first_call_through_a_lazy_binding_is_seen(void **state)
{
    (void)state;
    for (int i = 0; i < TIMES; i++)
        if (child_skips(first_call, lazy_path))
            SKIP("perf_event_open is refused here");
}

#define CAUGHT(name, body)                                                               \
    static void name(void **state)                                                       \
    {                                                                                    \
        (void)state;                                                                     \
        if (child_skips(body, NULL))                                                     \
            SKIP("perf_event_open is refused here");                                     \
    }

CAUGHT(work_in_warm_memory_has_no_fault, sections_without_faults)
CAUGHT(a_touch_of_fresh_memory_is_seen_with_its_function_and_address, fresh_heap)
CAUGHT(a_touch_of_new_stack_is_seen_with_its_function_and_address, untouched_stack)
CAUGHT(faults_are_counted_where_there_is_no_room_for_records, many_faults)
CAUGHT(a_copy_after_a_fork_is_seen, copy_after_fork)
CAUGHT(a_read_into_a_new_buffer_is_a_fault_of_a_system_call, read_into_new_buffer)
CAUGHT(populated_memory_is_told_apart_from_faults, populate)

static int as_ordinary(void *argument)
{
    if (!child_become_ordinary(8UL << 20))
        return SKIP_EXIT;
    int result = fresh_heap(argument);
    return result != 0 ? result : read_into_new_buffer(argument);
}

CAUGHT(an_ordinary_user_sees_the_same, as_ordinary)

static int trap_counts(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    char *memory = fresh(TIMES);
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    for (int i = 0; i < TIMES; i++)
        memory[(size_t)i * page] = 1;
    end();
    NEED(section.trapped == TIMES && section.user_minor == TIMES);
    return 0;
}

static int trap_aborts(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    target = fresh(1);
    fprintf(stderr, "planted %p\n", (void *)target);
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_ABORT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    plant_in_heap();
    return 0;
}

static void a_trap_counts_each_fault(void **state)
{
    (void)state;
    if (child_skips(trap_counts, NULL))
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
}

static void a_trap_that_aborts_ends_the_process_at_the_instruction(void **state)
{
    (void)state;
    struct child_end child;
    child_run(trap_aborts, NULL, &child);
    if (child.exit_code == SKIP_EXIT)
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
    assert_int_equal(child.signal, SIGABRT);
    char *planted = strstr(child.errors, "planted "), *told;
    assert_non_null(planted);
    told = strstr(planted, " touched ");
    assert_non_null(told);
    assert_int_equal(strtoul(planted + strlen("planted "), NULL, 16),
                     strtoul(told + strlen(" touched "), NULL, 16));
}

static volatile sig_atomic_t others;

static void count_other(int number)
{
    (void)number;
    others++;
}

static int trap_passes_on(void *argument)
{
    (void)argument;
    struct sigaction action = {.sa_handler = count_other}, now;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    if (!has_perf())
        return SKIP_EXIT;
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    NEED(raise(SIGTRAP) == 0);
    end();
    NEED(others == 1);
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    return 0;
}

static void other_traps_go_to_the_handler_that_was_there(void **state)
{
    (void)state;
    if (child_skips(trap_passes_on, NULL))
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
}

static void *end_inside(void *argument)
{
    securemem_rt_section own = {.flags = SECUREMEM_RT_TRAP,
                                .trap = SECUREMEM_RT_TRAP_COUNT};
    *(int *)argument = securemem_rt_section_begin(&own);
    return NULL; /* the thread forgets its section */
}

static int trap_of_ended_thread(void *argument)
{
    struct sigaction action = {.sa_handler = count_other}, now;
    (void)argument;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    if (!has_perf())
        return SKIP_EXIT;
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        int result;
        NEED(pthread_create(&thread, NULL, end_inside, &result) == 0);
        NEED(pthread_join(thread, NULL) == 0);
        if (result != 0)
            return SKIP_EXIT;
        NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    }
    return 0;
}

static void a_thread_that_ends_in_its_section_takes_its_trap_along(void **state)
{
    (void)state;
    if (child_skips(trap_of_ended_thread, NULL))
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
}

static int trap_beside_another_handler(void *argument)
{
    struct sigaction action = {.sa_handler = count_other}, now;
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    section.flags = SECUREMEM_RT_TRAP;
    section.trap = SECUREMEM_RT_TRAP_COUNT;
    if (securemem_rt_section_begin(&section) != 0)
        return SKIP_EXIT;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    end();
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    return 0;
}

static void a_handler_that_was_set_meanwhile_stays(void **state)
{
    (void)state;
    if (child_skips(trap_beside_another_handler, NULL))
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
}

static int trap_while_blocked(void *argument)
{
    sigset_t traps;
    struct sigaction before, now;
    (void)argument;
    NEED(sigaction(SIGTRAP, NULL, &before) == 0);
    NEED(sigemptyset(&traps) == 0 && sigaddset(&traps, SIGTRAP) == 0);
    NEED(pthread_sigmask(SIG_BLOCK, &traps, NULL) == 0);
    section.flags = SECUREMEM_RT_TRAP;
    NEED(securemem_rt_section_begin(&section) == -EPERM);
    NEED(strstr(securemem_last_error()->message, "SIGTRAP is blocked") != NULL);
    NEED(!securemem_rt_section_faulted(&section));
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == before.sa_handler);
    section.flags = 0; /* it has not begun */
    begin();
    end();
    return 0;
}

static void a_trap_that_would_be_blocked_is_refused(void **state)
{
    (void)state;
    assert_false(child_skips(trap_while_blocked, NULL));
}

/* A child that inherits the handler of its parent's section, and puts it back as its own. */
static int child_has_its_own_trap(void *argument)
{
    struct sigaction now;
    (void)argument;
    NEED(trap_counts(NULL) == 0);
    NEED(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == count_other);
    return 0;
}

static int fork_with_a_trap(void *argument)
{
    struct sigaction action = {.sa_handler = count_other};
    struct child_end child;
    (void)argument;
    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    if (!has_perf())
        return SKIP_EXIT;
    securemem_rt_section own = {.flags = SECUREMEM_RT_TRAP,
                                .trap = SECUREMEM_RT_TRAP_COUNT};
    if (securemem_rt_section_begin(&own) != 0)
        return SKIP_EXIT;
    child_run(child_has_its_own_trap, NULL, &child);
    NEED(securemem_rt_section_end(&own) == 0);
    fputs(child.errors, stderr);
    NEED(child.exit_code == 0 && child.signal == 0);
    return 0;
}

static void a_child_puts_back_the_handler_of_its_parent(void **state)
{
    (void)state;
    if (child_skips(fork_with_a_trap, NULL))
        SKIP("SIGTRAP of page faults (Linux 5.13) is refused here");
}

static int child_has_its_own(void *argument)
{
    (void)argument;
    return fresh_heap(NULL);
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

static int look_at_section_of_parent(void *argument)
{
    (void)argument;
    *(volatile char *)target = 3; /* the child's fault, which is none of the section's */
    NEED(!securemem_rt_section_faulted(&section));
    NEED(securemem_rt_section_end(&section) == -EINVAL);
    NEED(!securemem_rt_section_faulted(&section));
    return fresh_heap(NULL);
}

static int fork_in_a_section(void *argument)
{
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    target = fresh(1);
    *target = 1;
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

static volatile bool others_go_on = true;
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

static size_t perf_descriptors(void)
{
    size_t count = 0;
    char path[64], target_of[64];
    for (int i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        ssize_t length = readlink(path, target_of, sizeof target_of - 1);
        if (length > 0) {
            target_of[length] = '\0';
            count += strstr(target_of, "[perf_event]") != NULL;
        }
    }
    return count;
}

static int has_no_descriptors(void *argument)
{
    (void)argument;
    NEED(perf_descriptors() == 0);
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
    size_t own = perf_descriptors();
    NEED(own >= 2);
    NEED(pthread_barrier_init(&others_began, NULL, OTHERS + 1) == 0);
    for (size_t i = 0; i < OTHERS; i++)
        NEED(pthread_create(&threads[i], NULL, be_another, NULL) == 0);
    (void)pthread_barrier_wait(&others_began);
    NEED(perf_descriptors() == own * (OTHERS + 1));
    child_run(has_no_descriptors, NULL, &child);
    fputs(child.errors, stderr);
    NEED(child.exit_code == 0);
    others_go_on = false;
    for (size_t i = 0; i < OTHERS; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    NEED(perf_descriptors() == own);
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

int main(int argc, char **argv)
{
    lazy_path = argc > 1 ? argv[1] : NULL;
    page = view_page_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_in_warm_memory_has_no_fault),
        cmocka_unit_test(a_touch_of_fresh_memory_is_seen_with_its_function_and_address),
        cmocka_unit_test(a_touch_of_new_stack_is_seen_with_its_function_and_address),
        cmocka_unit_test(faults_are_counted_where_there_is_no_room_for_records),
        cmocka_unit_test(a_copy_after_a_fork_is_seen),
        cmocka_unit_test(the_first_call_through_a_lazy_binding_is_seen),
        cmocka_unit_test(a_read_into_a_new_buffer_is_a_fault_of_a_system_call),
        cmocka_unit_test(populated_memory_is_told_apart_from_faults),
        cmocka_unit_test(an_ordinary_user_sees_the_same),
        cmocka_unit_test(a_trap_counts_each_fault),
        cmocka_unit_test(a_trap_that_aborts_ends_the_process_at_the_instruction),
        cmocka_unit_test(other_traps_go_to_the_handler_that_was_there),
        cmocka_unit_test(a_thread_that_ends_in_its_section_takes_its_trap_along),
        cmocka_unit_test(a_handler_that_was_set_meanwhile_stays),
        cmocka_unit_test(a_trap_that_would_be_blocked_is_refused),
        cmocka_unit_test(a_child_puts_back_the_handler_of_its_parent),
        cmocka_unit_test(a_forked_child_has_a_witness_of_its_own),
        cmocka_unit_test(a_child_that_begins_a_section_keeps_its_own_memory),
        cmocka_unit_test(a_child_can_look_at_the_section_of_its_parent),
        cmocka_unit_test(witnesses_end_with_their_threads_and_in_children),
        cmocka_unit_test(sections_do_not_overlap),
    };
    return RUN_GROUP(tests);
}
