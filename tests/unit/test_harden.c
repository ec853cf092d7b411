/* SPDX-License-Identifier: ISC */
/* What a process gives up, as the kernel tells it by other ways than the library asks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/seccomp.h"
#include "unit/unit.h"

#ifndef PR_GET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

/* What walks through all shadow memory, in the kernel or here, takes minutes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

static const unsigned flags[] = {
    SECUREMEM_HARDEN_NO_CORE_DUMPS, SECUREMEM_HARDEN_NOT_DUMPABLE,
    SECUREMEM_HARDEN_NO_NEW_PRIVS,  SECUREMEM_HARDEN_NO_NEW_CODE,
    SECUREMEM_HARDEN_NOT_MERGED,
};

/* All that the flags could change: the state of the process, by flag. */
struct state {
    bool holds[COUNT(flags)];
    struct rlimit others[RLIM_NLIMITS];
};

static bool status_says(const char *name, const char *value)
{
    char line[256];
    bool says = false;
    FILE *file = fopen("/proc/thread-self/status", "re");
    NEED(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            says = strstr(line, value) != NULL;
    fclose(file);
    return says;
}

/* In a child that is an ordinary user: root owns what is not dumpable. */
static bool root_owns_proc(void)
{
    struct stat status;
    NEED(stat("/proc/self/environ", &status) == 0);
    return status.st_uid == 0;
}

static void take(struct state *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        NEED(getrlimit((__rlimit_resource_t)i, &out->others[i]) == 0);
    struct rlimit core = out->others[RLIMIT_CORE];
    out->others[RLIMIT_CORE] = (struct rlimit){0, 0};
    out->holds[0] = core.rlim_cur == 0 && core.rlim_max == 0;
    out->holds[1] = root_owns_proc();
    out->holds[2] = status_says("NoNewPrivs:", "1");
    out->holds[3] = prctl(PR_GET_MDWE, 0UL, 0UL, 0UL, 0UL) == 1;
    out->holds[4] = prctl(PR_GET_MEMORY_MERGE, 0UL, 0UL, 0UL, 0UL) != 1;
}

/* An ordinary user that may write a core, and whose pages KSM merges, if it can. */
static bool prepare(void)
{
    struct rlimit core = {1 << 20, 1 << 20};
    return setrlimit(RLIMIT_CORE, &core) == 0 &&
           (IS_SANITIZED || prctl(PR_SET_MEMORY_MERGE, 1UL, 0UL, 0UL, 0UL) == 0 ||
            errno == EINVAL) &&
           geteuid() == 0 && child_become_ordinary(1 << 20);
}

static const securemem_harden_result *result_of(const securemem_process_report *report,
                                                unsigned flag)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->results[i].flag == flag)
            return &report->results[i];
    return NULL;
}

static int ask_for_one(void *argument)
{
    size_t which = *(const size_t *)argument;
    struct state before, after;
    securemem_process_report report;
    if (!prepare())
        return SKIP_EXIT;
    take(&before);
    errno = 77;
    int given = securemem_process_harden(flags[which], &report);
    NEED(errno == 77 && report.count == 1 && report.results[0].flag == flags[which]);
    securemem_harden_outcome outcome = report.results[0].outcome;
    NEED(strlen(report.results[0].sentence) > 20);
    take(&after);
    for (size_t i = 0; i < COUNT(flags); i++)
        NEED(i == which || after.holds[i] == before.holds[i]);
    NEED(memcmp(before.others, after.others, sizeof before.others) == 0);
    if (outcome == SECUREMEM_HARDEN_MISSING) {
        NEED(given == -ENOTSUP && report.results[0].code != 0);
        return SKIP_EXIT;
    }
    NEED(given == 0 && after.holds[which]);
    NEED(before.holds[which] ? outcome != SECUREMEM_HARDEN_GRANTED
                             : outcome == SECUREMEM_HARDEN_GRANTED);
    if (outcome == SECUREMEM_HARDEN_NEEDLESS)
        return 0;
    NEED(securemem_process_harden(flags[which], &report) == 0);
    NEED(report.results[0].outcome == SECUREMEM_HARDEN_ALREADY);
    return 0;
}

static void each_flag_changes_what_it_says_and_nothing_else(void **state)
{
    (void)state;
    unsigned skips = 0;
    for (size_t i = 0; i < COUNT(flags); i++)
        skips += child_skips(ask_for_one, &i) ? 1U : 0U;
    if (skips > 0)
        SKIP("some of it is not there: not root, or an older kernel");
}

static int ask_for_all(void *argument)
{
    (void)argument;
    struct state after;
    securemem_process_report report;
    if (!prepare())
        return SKIP_EXIT;
    int result = securemem_process_harden(SECUREMEM_HARDEN_ALL, &report);
    NEED(report.count == COUNT(flags));
    take(&after);
    for (size_t i = 0; i < COUNT(flags); i++) {
        securemem_harden_outcome outcome = report.results[i].outcome;
        NEED(report.results[i].flag == flags[i]);
        NEED(after.holds[i] == (outcome <= SECUREMEM_HARDEN_NEEDLESS));
        NEED(outcome <= SECUREMEM_HARDEN_NEEDLESS || result != 0);
    }
    /* The library itself goes on. */
    char *secret = securemem_alloc(64);
    securemem_protection protection;
    NEED(secret != NULL && securemem_protection_of(secret, &protection) == 0);
    NEED(protection.lock.holds && protection.witness == SECUREMEM_WITNESS_SMAPS);
    securemem_free(secret);
    return 0;
}

static void a_hardened_process_has_secrets_as_before(void **state)
{
    (void)state;
    CHILD_PASSES(ask_for_all, NULL);
}

static int ask_for_nothing(void *argument)
{
    (void)argument;
    struct state before, after;
    securemem_process_report report = {.count = 99};
    if (!prepare())
        return SKIP_EXIT;
    take(&before);
    NEED(securemem_process_harden(1U << 30, &report) == -EINVAL && report.count == 99);
    NEED(securemem_process_harden(SECUREMEM_HARDEN_ALL | 1U << 31, NULL) == -EINVAL);
    NEED(securemem_process_harden(0, &report) == 0 && report.count == 0);
    NEED(securemem_process_harden(0, NULL) == 0);
    take(&after);
    NEED(memcmp(&before, &after, sizeof before) == 0);
    return 0;
}

static void what_is_not_asked_for_is_not_done(void **state)
{
    (void)state;
    CHILD_PASSES(ask_for_nothing, NULL);
}

static int refuse_prctl(void *argument)
{
    securemem_process_report report;
    int code = *(const int *)argument;
    if (!seccomp_answer(SYS_prctl, code))
        return SKIP_EXIT;
    int result = securemem_process_harden(SECUREMEM_HARDEN_ALL, &report);
    NEED(report.count == COUNT(flags));
    const securemem_harden_result *core =
        result_of(&report, SECUREMEM_HARDEN_NO_CORE_DUMPS);
    NEED(core != NULL && core->outcome <= SECUREMEM_HARDEN_ALREADY);
    for (size_t i = 1; i < report.count; i++) {
        NEED(report.results[i].code == code);
        NEED(report.results[i].outcome ==
                 (code == EPERM ? SECUREMEM_HARDEN_REFUSED : SECUREMEM_HARDEN_MISSING) ||
             (code == ENOSYS && report.results[i].flag == SECUREMEM_HARDEN_NOT_MERGED));
    }
    NEED(result == (code == EPERM ? -EPERM : -ENOTSUP));
    NEED(strstr(securemem_last_error()->message, "PR_SET_DUMPABLE") != NULL);
    return 0;
}

static void a_sandbox_that_refuses_is_told_and_stops_nothing_else(void **state)
{
    (void)state;
    static int codes[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < COUNT(codes); i++)
        CHILD_PASSES(refuse_prctl, &codes[i]);
}

/* Writes code, and makes it executable: 0, or the errno of what was refused. */
static int make_code(void)
{
    char *memory = mmap(NULL, view_page_size(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    memory[0] = 1;
    int refused =
        mprotect(memory, view_page_size(), PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
    munmap(memory, view_page_size());
    return refused;
}

static int try_new_code(void *argument)
{
    (void)argument;
    NEED(make_code() == 0); /* the control */
    if (securemem_process_harden(SECUREMEM_HARDEN_NO_NEW_CODE, NULL) != 0)
        return SKIP_EXIT;
    NEED(make_code() == EACCES);
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0)
        _exit(make_code() == EACCES ? 0 : 1);
    int status;
    NEED(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

static void no_memory_becomes_executable(void **state)
{
    (void)state;
    CHILD_PASSES(try_new_code, NULL);
}

static char marker[] = "a marker of this process";

/* Another process of the same user, its child: what open(2) of its memory gives it. */
static bool another_may_read(void)
{
    char path[64], copy[sizeof marker] = "";
    snprintf(path, sizeof path, "/proc/%ld/mem", (long)getpid());
    pid_t reader = fork();
    NEED(reader >= 0);
    if (reader == 0) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        bool read_it = file >= 0 && pread(file, copy, sizeof copy, (off_t)marker) ==
                                        (ssize_t)sizeof copy;
        _exit(read_it && memcmp(copy, marker, sizeof copy) == 0 ? 0 : 1);
    }
    int status;
    NEED(waitpid(reader, &status, 0) == reader && WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static int be_read(void *argument)
{
    (void)argument;
    if (!prepare())
        return SKIP_EXIT;
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0UL, 0UL,
                0UL);        /* Yama, if it is on */
    if (!another_may_read()) /* the control */
        return SKIP_EXIT;
    NEED(securemem_process_harden(
             SECUREMEM_HARDEN_ALL & ~(unsigned)SECUREMEM_HARDEN_NOT_DUMPABLE, NULL) ==
             0 ||
         securemem_last_error()->code == ENOTSUP);
    NEED(another_may_read()); /* nothing else keeps it out */
    NEED(securemem_process_harden(SECUREMEM_HARDEN_NOT_DUMPABLE, NULL) == 0);
    NEED(!another_may_read());
    return 0;
}

static void another_process_of_the_user_reads_none_of_its_memory(void **state)
{
    (void)state;
    CHILD_PASSES(be_read, NULL);
}

static bool is_mergeable(const void *address)
{
    struct view view;
    NEED(view_at(address, &view));
    return view_has(&view, "mg");
}

static int try_merging(void *argument)
{
    (void)argument;
    if (IS_SANITIZED || prctl(PR_SET_MEMORY_MERGE, 1UL, 0UL, 0UL, 0UL) != 0)
        return SKIP_EXIT;
    const size_t length = 2 * view_page_size();
    char *before =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(before != MAP_FAILED && is_mergeable(before)); /* the control */
    NEED(securemem_process_harden(SECUREMEM_HARDEN_NOT_MERGED, NULL) == 0);
    char *after = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(after != MAP_FAILED && !is_mergeable(after) && !is_mergeable(before));
    return 0;
}

static void no_page_is_merged(void **state)
{
    (void)state;
    CHILD_PASSES(try_merging, NULL);
}

static bool may_open_own_pagemap(void)
{
    int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (file >= 0)
        close(file);
    return file >= 0;
}

/* As the header says: one that was opened before is kept. */
static int audit_undumpable(void *argument)
{
    static securemem_rt_audit_report report;
    bool before = *(const bool *)argument;
    if (IS_SANITIZED || !prepare() || !may_open_own_pagemap() ||
        (before && securemem_rt_audit(&report) != 0))
        return SKIP_EXIT;
    NEED(securemem_process_harden(SECUREMEM_HARDEN_NOT_DUMPABLE, NULL) == 0);
    NEED(!may_open_own_pagemap());
    NEED(securemem_rt_audit(&report) == (before ? 0 : -EPERM));
    const securemem_rt_plan plan = {.mode = SECUREMEM_RT_REGION};
    int result = securemem_rt_enter(&plan);
    NEED(before || result == -EPERM);
    if (result == -EPERM)
        NEED(strstr(securemem_last_error()->message, "PR_SET_DUMPABLE") != NULL);
    return 0;
}

static void an_audit_works_undumpable_where_one_came_before(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool before = i == 1;
        CHILD_PASSES(audit_undumpable, &before);
    }
}

static int other_thread_has_it; /* of NO_NEW_PRIVS */
static pthread_barrier_t barrier;

static void *look(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&barrier);
    other_thread_has_it = status_says("NoNewPrivs:", "1");
    return NULL;
}

static int harden_one_thread(void *argument)
{
    (void)argument;
    pthread_t thread;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
        return SKIP_EXIT; /* every thread has it already */
    NEED(pthread_barrier_init(&barrier, NULL, 2) == 0);
    NEED(pthread_create(&thread, NULL, look, NULL) == 0);
    NEED(securemem_process_harden(SECUREMEM_HARDEN_NO_NEW_PRIVS, NULL) == 0);
    pthread_barrier_wait(&barrier);
    NEED(pthread_join(thread, NULL) == 0 && !other_thread_has_it);
    NEED(pthread_create(&thread, NULL, look, NULL) == 0);
    pthread_barrier_wait(&barrier);
    NEED(pthread_join(thread, NULL) == 0 && other_thread_has_it);
    return 0;
}

static void no_new_privs_is_of_the_thread_and_those_it_starts(void **state)
{
    (void)state;
    CHILD_PASSES(harden_one_thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_flag_changes_what_it_says_and_nothing_else),
        cmocka_unit_test(a_hardened_process_has_secrets_as_before),
        cmocka_unit_test(what_is_not_asked_for_is_not_done),
        cmocka_unit_test(a_sandbox_that_refuses_is_told_and_stops_nothing_else),
        cmocka_unit_test(no_memory_becomes_executable),
        cmocka_unit_test(another_process_of_the_user_reads_none_of_its_memory),
        cmocka_unit_test(no_page_is_merged),
        cmocka_unit_test(an_audit_works_undumpable_where_one_came_before),
        cmocka_unit_test(no_new_privs_is_of_the_thread_and_those_it_starts),
    };
    return RUN_GROUP(tests);
}
