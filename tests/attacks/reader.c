/* SPDX-License-Identifier: ISC */
/*
 * Attack: root reads a living process by /proc/PID/mem, process_vm_readv(2), ptrace(2) and
 * gcore -a. Secret memory is out of its reach. Control: a locked, guarded, undumped secret
 * in ordinary memory, which all four find.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/subject.h"

#define SYSCALL_SECRET 447
#define WORD           sizeof(long)

struct plan {
    securemem_policy secret_memory;
    securemem_placement placement;
};

/* Sixteen copies, one a page; packed ones in secrets of their own. */
static void hold(const void *argument)
{
    const struct plan *plan = argument;
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.secret_memory = plan->secret_memory,
                                   .placement = plan->placement,
                                   /* gdb gives up on a mapping that begins with a guard
                                      region, which no reader of a page does */
                                   .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
                                   .fork = SECUREMEM_FORK_DROP});
    attack_require(arena != NULL, "securemem_arena_create");
    if (plan->placement == SECUREMEM_GUARDED) {
        unsigned char *pages = securemem_arena_alloc(arena, copies_bytes());
        attack_require(pages != NULL, "securemem_arena_alloc");
        subject_receive_copies(pages);
        for (size_t i = 0; i < COPIES; i++)
            subject_tell(copy_at(pages, i), MARKER_BYTES);
    } else {
        unsigned char *each[COPIES];
        for (size_t i = 0; i < COPIES; i++) {
            each[i] = securemem_arena_alloc(arena, MARKER_BYTES);
            attack_require(each[i] != NULL, "securemem_arena_alloc");
            subject_receive(each[i], MARKER_BYTES);
            subject_tell(each[i], MARKER_BYTES);
        }
    }
    subject_pause();
}

static bool by_mem(const struct subject *subject, const void *address, void *out)
{
    return subject_peek(subject, address, out, MARKER_BYTES) == MARKER_BYTES;
}

static bool by_readv(const struct subject *subject, const void *address, void *out)
{
    struct iovec here = {out, MARKER_BYTES};
    struct iovec there = {(void *)(uintptr_t)address, MARKER_BYTES};
    return process_vm_readv(subject->pid, &here, 1, &there, 1, 0) == MARKER_BYTES;
}

/* PTRACE_PEEKDATA, a word at a time. */
static bool by_ptrace(const struct subject *subject, const void *address, void *out)
{
    int status;
    bool got = false;
    if (ptrace(PTRACE_SEIZE, subject->pid, NULL, NULL) != 0)
        return false;
    if (ptrace(PTRACE_INTERRUPT, subject->pid, NULL, NULL) == 0 &&
        waitpid(subject->pid, &status, __WALL) == subject->pid) {
        got = true;
        for (size_t at = 0; at < MARKER_BYTES && got; at += WORD)
            got = syscall(SYS_ptrace, PTRACE_PEEKDATA, subject->pid,
                          (const char *)address + at, (char *)out + at) == 0;
    }
    ptrace(PTRACE_DETACH, subject->pid, NULL, NULL);
    return got;
}

struct way {
    const char *name;
    bool (*read)(const struct subject *subject, const void *address, void *out);
};

static const struct way ways[] = {
    {"/proc/PID/mem", by_mem},
    {"process_vm_readv", by_readv},
    {"ptrace", by_ptrace},
};

/* Marker copies in the core that gcore -a writes; SIZE_MAX where there is no gcore. */
static size_t copies_in_core(const struct subject *subject,
                             const unsigned char marker[MARKER_BYTES])
{
    char directory[] = "/tmp/securemem-core-XXXXXX", path[96], command[256];
    if (system("command -v gcore >/dev/null 2>&1") != 0)
        return SIZE_MAX;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/core.%ld", directory, (long)subject->pid);
    snprintf(command, sizeof command, "gcore -a -o %s/core %ld >/dev/null 2>&1",
             directory, (long)subject->pid);
    size_t found = 0;
    int file = system(command) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        off_t length = lseek(file, 0, SEEK_END);
        void *bytes = mmap(NULL, (size_t)length, PROT_READ, MAP_PRIVATE, file, 0);
        assert_true(bytes != MAP_FAILED);
        found = marker_count(marker, bytes, (size_t)length);
        munmap(bytes, (size_t)length);
        close(file);
    }
    unlink(path);
    rmdir(directory);
    assert_true(file >= 0); /* a dump that was not made proves nothing */
    return found;
}

struct found {
    size_t by[sizeof ways / sizeof *ways], in_core;
};

static struct found attack(const struct plan *plan)
{
    struct found found = {0};
    struct subject subject;
    assert_true(subject_start(&subject, false, hold, plan));
    unsigned char marker[MARKER_BYTES], seen[MARKER_BYTES];
    marker_draw(marker);
    subject_send_copies(&subject, marker);
    subject_run(&subject);
    char words[512] = "";
    if (subject.stop == 0) {
        subject_end(&subject, words, sizeof words);
        fail_msg("the subject ended: %s", words);
    }
    for (size_t w = 0; w < COUNT(ways); w++)
        for (size_t i = 0; i < subject.page->count; i++) {
            memset(seen, 0, sizeof seen);
            if (ways[w].read(&subject, subject.page->told[i].address, seen) &&
                memcmp(seen, marker, sizeof seen) == 0)
                found.by[w]++;
        }
    found.in_core = copies_in_core(&subject, marker);
    subject_end(&subject, NULL, 0);
    return found;
}

static void say(const char *what, const struct found *found)
{
    printf("NOTE: reader: %s: mem %zu, process_vm_readv %zu, ptrace %zu of %u\n", what,
           found->by[0], found->by[1], found->by[2], COPIES);
    if (found->in_core == SIZE_MAX)
        printf("SKIP: reader: there is no gcore here (the package gdb)\n");
    else
        printf("NOTE: reader: %s: gcore -a %zu of %u\n", what, found->in_core, COPIES);
}

static bool can_read_others(const struct found *control)
{
    return control->by[0] == COPIES;
}

static void root_cannot_read_secret_memory(void **state)
{
    (void)state;
    long descriptor = syscall(SYSCALL_SECRET, 0);
    if (descriptor < 0)
        SKIP("this kernel has no memfd_secret(2), or refuses it");
    close((int)descriptor);
    for (int p = SECUREMEM_GUARDED; p <= SECUREMEM_PACKED; p++) {
        struct plan plan = {SECUREMEM_OFF, (securemem_placement)p};
        struct found control = attack(&plan);
        say("ordinary locked memory", &control);
        if (!can_read_others(&control))
            SKIP("this user may not read the memory of its own children");
        for (size_t w = 0; w < COUNT(ways); w++)
            assert_int_equal(control.by[w], COPIES);
        assert_true(control.in_core >= COPIES);

        plan.secret_memory = SECUREMEM_REQUIRED;
        struct found found = attack(&plan);
        say("secret memory", &found);
        for (size_t w = 0; w < COUNT(ways); w++)
            assert_int_equal(found.by[w], 0);
        assert_true(found.in_core == 0 || found.in_core == SIZE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_cannot_read_secret_memory),
    };
    return RUN_GROUP(tests);
}
