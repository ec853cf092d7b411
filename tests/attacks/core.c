/* SPDX-License-Identifier: ISC */
/*
 * Attack: crash the process and search its core. Controls: malloc, static memory, the
 * stack, a mapping without access, and a secret whose arena has no_dump off.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/guardian.h"
#include "attacks/subject.h"

#define ORDINARY_PLACES 4U
#define ACCESSES        3U /* none, read, write */

struct plan {
    const char *directory;
    securemem_guard_kind kinds[2];
    size_t kinds_count;
};

static void receive_secret(securemem_arena *arena, securemem_access access)
{
    void *secret = securemem_arena_alloc(arena, copies_bytes());
    attack_require(secret != NULL, "securemem_arena_alloc");
    subject_receive_copies(secret);
    attack_require(securemem_set_access(secret, access) == 0, "securemem_set_access");
}

static void crash(const void *argument)
{
    const struct plan *plan = argument;
    static unsigned char in_data[MARKER_BYTES];
    unsigned char on_stack[MARKER_BYTES];
    unsigned char *in_heap = malloc(MARKER_BYTES);
    unsigned char *closed = mmap(NULL, view_page_size(), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    attack_require(in_heap != NULL && closed != MAP_FAILED, "memory");
    subject_receive(in_data, MARKER_BYTES);
    subject_receive(on_stack, MARKER_BYTES);
    subject_receive(in_heap, MARKER_BYTES);
    subject_receive(closed, MARKER_BYTES);
    attack_require(mprotect(closed, view_page_size(), PROT_NONE) == 0, "mprotect");

    securemem_arena *dumped =
        securemem_arena_create(&(securemem_arena_options){.no_dump = SECUREMEM_OFF});
    attack_require(dumped != NULL, "securemem_arena_create");
    receive_secret(dumped, SECUREMEM_NONE);
    for (size_t i = 0; i < plan->kinds_count; i++) {
        securemem_arena *arena = securemem_arena_create(
            &(securemem_arena_options){.guard_kind = plan->kinds[i]});
        attack_require(arena != NULL, "securemem_arena_create");
        for (int access = SECUREMEM_NONE; access <= SECUREMEM_WRITE; access++)
            receive_secret(arena, (securemem_access)access);
    }
    struct rlimit limit;
    attack_require(getrlimit(RLIMIT_CORE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    attack_require(setrlimit(RLIMIT_CORE, &limit) == 0, "setrlimit");
    attack_require(chdir(plan->directory) == 0, "chdir");
    subject_pause();
    (void)hidden(on_stack);
    abort();
}

static int remove_directory(const void *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return 1;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    return rmdir(path) == 0 ? 0 : 1;
}

struct found {
    size_t cores, ordinary, dumped, secret;
};

struct markers {
    unsigned char ordinary[MARKER_BYTES], dumped[MARKER_BYTES], secret[MARKER_BYTES];
};

static void search_file(int file, const struct markers *markers, struct found *found)
{
    struct stat status;
    if (fstat(file, &status) != 0 || status.st_size == 0)
        return;
    size_t length = (size_t)status.st_size;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        return;
    found->cores++;
    found->ordinary += marker_count(markers->ordinary, bytes, length);
    found->dumped += marker_count(markers->dumped, bytes, length);
    found->secret += marker_count(markers->secret, bytes, length);
    munmap(bytes, length);
}

/* Whatever the core's name is. */
static void search_directory(const char *path, const struct markers *markers,
                             struct found *found)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        int file = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            continue;
        search_file(file, markers, found);
        close(file);
    }
    closedir(directory);
}

/* The first character of the machine's pattern; 0 where it cannot be read. */
static char core_pattern(void)
{
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    int first = file == NULL ? EOF : fgetc(file);
    if (file != NULL)
        fclose(file);
    return first == EOF ? '\0' : (char)first;
}

static bool core_limit_is_zero(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max == 0;
}

static struct found crash_and_search(struct plan *plan, bool *dumped)
{
    struct markers markers;
    struct found found = {0};
    struct subject subject;
    assert_true(subject_start(&subject, false, crash, plan));
    marker_draw(markers.ordinary);
    marker_draw(markers.dumped);
    marker_draw(markers.secret);
    for (size_t i = 0; i < ORDINARY_PLACES; i++)
        subject_send(&subject, markers.ordinary, MARKER_BYTES);
    subject_send_copies(&subject, markers.dumped);
    for (size_t i = 0; i < ACCESSES * plan->kinds_count; i++)
        subject_send_copies(&subject, markers.secret);
    subject_run(&subject);
    int paused = subject.stop;
    if (paused == SIGSTOP)
        subject_run(&subject);
    *dumped = WIFSIGNALED(subject.status) && WTERMSIG(subject.status) == SIGABRT &&
              WCOREDUMP(subject.status);
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (paused != SIGSTOP)
        fail_msg("the subject did not come to its crash: %s", words);
    search_directory(plan->directory, &markers, &found);
    return found;
}

static void no_secret_is_in_a_core(void **state)
{
    (void)state;
    char pattern = core_pattern();
    if (pattern == '|')
        SKIP("kernel.core_pattern pipes cores to a program");
    if (pattern == '/' || pattern == '\0')
        SKIP("kernel.core_pattern names no file in the working directory");
    if (core_limit_is_zero())
        SKIP("the hard limit of RLIMIT_CORE is 0");

    char directory[] = "/tmp/securemem-core-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct guardian guardian;
    guardian_start(&guardian, remove_directory, directory);
    struct plan plan = {.directory = directory};
    plan.kinds_count = attack_guard_kinds(plan.kinds);
    bool dumped = false;
    struct found found = crash_and_search(&plan, &dumped);
    assert_int_equal(guardian_finish(&guardian), 0);
    if (!dumped || found.cores == 0)
        SKIP("the kernel wrote no core into the working directory");

    NOTE("%zu of %u copies in ordinary memory, %zu of %u in a secret with no_dump off, "
         "%zu of %zu in secrets",
         found.ordinary, ORDINARY_PLACES, found.dumped, COPIES, found.secret,
         ACCESSES * plan.kinds_count * COPIES);
    assert_int_equal(found.ordinary, ORDINARY_PLACES);
    assert_int_equal(found.dumped, COPIES);
    assert_int_equal(found.secret, 0);
    SAY_WHICH_KINDS(plan.kinds_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_secret_is_in_a_core),
    };
    return RUN_GROUP(tests);
}
