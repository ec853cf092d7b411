/* SPDX-License-Identifier: ISC */
/* Faults that are planted in a section, and what the section says of them. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/rt.h"

static char *target; /* what the planted instruction touches */

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

/* Whether that function is the one that faulted, by name and offset. */
static bool is_by(const securemem_rt_fault *fault, const char *function)
{
    char line[300];
    NEED(securemem_rt_fault_describe(fault, line, sizeof line) > strlen(function));
    return strncmp(line, function, strlen(function)) == 0 &&
           line[strlen(function)] == '+';
}

/* A fault at target by that function, and as many of the thread's own as recorded. */
static void need_fault_in(const char *function)
{
    const securemem_rt_fault *found = NULL;
    NEED(section.user_minor + section.user_major == section.recorded);
    NEED(section.lost == 0);
    for (size_t i = 0; i < section.recorded; i++)
        if (section.faults[i].address == (uintptr_t)target)
            found = &section.faults[i];
    NEED(found != NULL && is_by(found, function));
    NEED(found->thread == (uint32_t)syscall(SYS_gettid));
}

static void need_one_fault_in(const char *function)
{
    NEED(section.recorded == 1);
    need_fault_in(function);
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
        NEED(!securemem_rt_section_faulted(&section));
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
        NEED(section.user_minor == 1 && !section.faults[0].major);
    }
    return 0;
}

/* What malloc gives: its own faults, at the block's head, and the loop's behind that. */
static int fresh_malloc(void *argument)
{
    enum { BYTES = 1 << 20 };
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    char *blocks[TIMES]; /* kept: what is freed would be handed out again, warm */
    for (int i = 0; i < TIMES; i++) {
        begin();
        blocks[i] = malloc(BYTES);
        NEED(blocks[i] != NULL);
        target = blocks[i] + BYTES / 2;
        plant_in_heap();
        end();
        need_fault_in("plant_in_heap");
    }
    for (int i = 0; i < TIMES; i++)
        free(blocks[i]);
    return 0;
}

/* Out of the page cache, so that it is read from the disk again. */
static bool make_cold(int file, off_t length)
{
    return fsync(file) == 0 && posix_fadvise(file, 0, length, POSIX_FADV_DONTNEED) == 0;
}

static int cold_file(void *argument)
{
    char path[] = "rt_cold.XXXXXX";
    const char byte = 1;
    (void)argument;
    if (!has_perf())
        return SKIP_EXIT;
    int file = mkstemp(path);
    NEED(file >= 0 && unlink(path) == 0);
    for (size_t i = 0; i < TIMES; i++)
        NEED(pwrite(file, &byte, 1, (off_t)(i * page)) == 1);
    off_t length = (off_t)(TIMES * page);
    NEED(ftruncate(file, length) == 0);
    char *memory = mmap(NULL, TIMES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    NEED(memory != MAP_FAILED && madvise(memory, TIMES * page, MADV_RANDOM) == 0);
    unsigned char there[TIMES];
    if (!make_cold(file, length) || mincore(memory, TIMES * page, there) != 0)
        return SKIP_EXIT;
    for (size_t i = 0; i < TIMES; i++)
        if ((there[i] & 1) != 0) /* a file system in memory */
            return SKIP_EXIT;
    for (size_t i = 0; i < TIMES; i++) {
        target = memory + i * page + 17;
        begin();
        plant_in_heap();
        end();
        need_one_fault_in("plant_in_heap");
        NEED(section.user_major == 1 && section.user_minor == 0);
        NEED(section.faults[0].major);
    }
    NEED(close(file) == 0);
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
        need_fault_in("plant_after_fork");
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
    for (size_t i = 0; i < section.recorded; i++) /* what is touched is the code itself */
        seen = seen || (is_by(&section.faults[i], "lazy_other") &&
                        section.faults[i].address == section.faults[i].instruction);
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

CAUGHT(work_in_warm_memory_has_no_fault, sections_without_faults)
CAUGHT(a_touch_of_fresh_memory_is_seen_with_its_function_and_address, fresh_heap)
CAUGHT(a_touch_of_what_malloc_gave_is_seen_with_its_function_and_address, fresh_malloc)
CAUGHT(a_touch_of_new_stack_is_seen_with_its_function_and_address, untouched_stack)
CAUGHT(faults_are_counted_where_there_is_no_room_for_records, many_faults)
CAUGHT(a_copy_after_a_fork_is_seen_with_its_function_and_address, copy_after_fork)
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

static void a_touch_of_a_cold_file_is_a_major_fault(void **state)
{
    (void)state;
    if (child_skips(cold_file, NULL))
        SKIP("perf_event_open is refused here, or the build folder lies in memory");
}

int main(int argc, char **argv)
{
    lazy_path = argc > 1 ? argv[1] : NULL;
    page = view_page_size();
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0,
                0); /* a fault a page; else Linux is too old */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_in_warm_memory_has_no_fault),
        cmocka_unit_test(a_touch_of_fresh_memory_is_seen_with_its_function_and_address),
        cmocka_unit_test(
            a_touch_of_what_malloc_gave_is_seen_with_its_function_and_address),
        cmocka_unit_test(a_touch_of_a_cold_file_is_a_major_fault),
        cmocka_unit_test(a_touch_of_new_stack_is_seen_with_its_function_and_address),
        cmocka_unit_test(faults_are_counted_where_there_is_no_room_for_records),
        cmocka_unit_test(a_copy_after_a_fork_is_seen_with_its_function_and_address),
        cmocka_unit_test(the_first_call_through_a_lazy_binding_is_seen),
        cmocka_unit_test(a_read_into_a_new_buffer_is_a_fault_of_a_system_call),
        cmocka_unit_test(populated_memory_is_told_apart_from_faults),
        cmocka_unit_test(an_ordinary_user_sees_the_same),
    };
    return RUN_GROUP(tests);
}
