/* SPDX-License-Identifier: ISC */
/* Sections where the kernel refuses their witness, in part or as a whole. */
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/seccomp.h"
#include "unit/rt.h"

/* Faults of all kinds are one count then, in which none is missing. */
static void need_to_count_by_rusage(void)
{
    char *memory = fresh(TIMES);
    begin(); /* opens what it can */
    end();
    begin();
    NEED(!securemem_rt_section_faulted(&section));
    for (size_t i = 0; i < TIMES; i++)
        memory[i * page] = 1;
    NEED(!securemem_rt_section_faulted(&section)); /* as its header says */
    end();
    NEED(section.witness == SECUREMEM_RT_WITNESS_RUSAGE);
    NEED(section.system == TIMES);
    NEED(section.user_minor == 0 && section.user_major == 0 && section.populated == 0);
    NEED(section.recorded == 0 && section.lost == 0 && !section.divided);
    begin();
    for (size_t i = 0; i < TIMES; i++)
        memory[i * page] = 2;
    end();
    NEED(section.system == 0); /* the control: warm */
    NEED(munmap(memory, TIMES * page) == 0);
}

static int count_without_perf(void *argument)
{
    const int *error = argument;
    if (!seccomp_answer(SYS_perf_event_open, *error))
        return SKIP_EXIT;
    need_to_count_by_rusage();
    NEED(find_descriptors("[perf_event]") == 0);
    section.flags = SECUREMEM_RT_TRAP;
    NEED(securemem_rt_section_begin(&section) ==
         (*error == EACCES || *error == EPERM ? -EPERM : -ENOTSUP));
    NEED(strncmp(securemem_last_error()->message, "perf_event_open: ", 17) == 0);
    section.flags = 0;
    need_to_count_by_rusage();
    return 0;
}

static void without_perf_getrusage_counts_and_the_section_says_so(void **state)
{
    (void)state;
    int errors[] = {EPERM, EACCES, ENOSYS, ENOENT};
    for (size_t i = 0; i < COUNT(errors); i++)
        if (child_skips(count_without_perf, &errors[i]))
            SKIP("seccomp is refused here");
}

static int count_nothing(void *argument)
{
    (void)argument;
    if (!seccomp_answer(SYS_perf_event_open, EPERM) ||
        !seccomp_answer(SYS_getrusage, EPERM))
        return SKIP_EXIT;
    char *memory = fresh(1);
    begin();
    memory[0] = 1;
    end();
    NEED(section.witness == SECUREMEM_RT_WITNESS_NONE);
    NEED(section.user_minor == 0 && section.system == 0 && section.populated == 0);
    return 0;
}

static void without_any_witness_the_section_does_not_claim_one(void **state)
{
    (void)state;
    if (child_skips(count_nothing, NULL))
        SKIP("seccomp is refused here");
}

enum { CROWD = 160 };

static securemem_rt_witness witnesses[CROWD];
static size_t lost[CROWD];
static pthread_barrier_t all_there;

/* A thread that keeps its ring until all have theirs. */
static void *be_one_of_many(void *argument)
{
    size_t *index = argument;
    enum { MANY = 400 }; /* more than a small ring has room for */
    securemem_rt_section own = {0};
    NEED(securemem_rt_section_begin(&own) == 0);
    char *memory = fresh(MANY);
    (void)pthread_barrier_wait(&all_there);
    for (size_t i = 0; i < MANY; i++)
        memory[i * page] = 1;
    NEED(securemem_rt_section_end(&own) == 0);
    witnesses[*index] = own.witness;
    lost[*index] = own.lost;
    if (own.witness == SECUREMEM_RT_WITNESS_PERF)
        NEED(own.user_minor >= MANY && own.recorded == SECUREMEM_RT_FAULTS);
    else
        NEED(own.system >= MANY && own.recorded == 0);
    NEED(munmap(memory, MANY * page) == 0);
    (void)pthread_barrier_wait(&all_there);
    return NULL;
}

/*
 * With no RLIMIT_MEMLOCK there are rings for kernel.perf_event_mlock_kb alone: the first
 * threads have large ones, later ones small ones, the last none; faults are counted in all.
 */
static int crowd(void *argument)
{
    static size_t indexes[CROWD];
    pthread_t threads[CROWD];
    size_t perf = 0, large = SIZE_MAX, small = 0;
    (void)argument;
    if (!child_become_ordinary(0) || !has_perf())
        return SKIP_EXIT;
    NEED(pthread_barrier_init(&all_there, NULL, CROWD) == 0);
    for (size_t i = 0; i < CROWD; i++) {
        indexes[i] = i;
        NEED(pthread_create(&threads[i], NULL, be_one_of_many, &indexes[i]) == 0);
    }
    for (size_t i = 0; i < CROWD; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    for (size_t i = 0; i < CROWD; i++) {
        if (witnesses[i] != SECUREMEM_RT_WITNESS_PERF)
            continue;
        perf++;
        large = lost[i] < large ? lost[i] : large;
        small = lost[i] > small ? lost[i] : small;
    }
    if (perf == CROWD)
        return SKIP_EXIT; /* kernel.perf_event_mlock_kb is large here */
    NEED(perf > 0 && large < small);
    return 0;
}

static void where_rings_are_short_they_get_smaller_and_faults_are_counted(void **state)
{
    (void)state;
    if (child_skips(crowd, NULL))
        SKIP("perf is refused, or there are rings for all threads");
}

int main(void)
{
    page = view_page_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_perf_getrusage_counts_and_the_section_says_so),
        cmocka_unit_test(without_any_witness_the_section_does_not_claim_one),
        cmocka_unit_test(where_rings_are_short_they_get_smaller_and_faults_are_counted),
    };
    return RUN_GROUP(tests);
}
