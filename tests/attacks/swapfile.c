/* SPDX-License-Identifier: ISC */
#include "attacks/swapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES     (64UL << 20)
#define CHUNK_BYTES    (1UL << 20)
#define GROUP_BYTES    (8UL << 20)
#define HOG_BYTES      (32UL << 20)
#define HOG_PART_BYTES (2UL << 20)
#define HOG_ROUNDS     4 /* a page that was used once more is spared once more */
#define PRIORITY_MOST  0x7fff

#define POLLS         30
#define POLL_INTERVAL 100000000L /* nanoseconds */

/* Where control groups are by convention; v2 with the memory controller, if it is on. */
#define GROUPS_V1 "/sys/fs/cgroup/memory"
#define GROUPS_V2 "/sys/fs/cgroup"

static bool grouped_by_v1;
static char directory[PATH_MAX], path[PATH_MAX + 16], group[PATH_MAX];

static void nap(void)
{
    const struct timespec interval = {.tv_nsec = POLL_INTERVAL};
    nanosleep(&interval, NULL);
}

/* A group is busy for a moment after its last process is gone. */
static bool remove_group(void)
{
    for (int i = 0; i < POLLS; i++) {
        if (rmdir(group) == 0 || errno != EBUSY)
            break;
        nap();
    }
    return access(group, F_OK) != 0;
}

/* A whole disk of a virtual machine, which nobody else has. */
static bool is_device(void)
{
    return directory[0] == '\0';
}

static int restore(const void *argument)
{
    (void)argument;
    int failed = 0;
    if (swapoff(path) != 0 && errno != EINVAL && errno != ENOENT) /* was it on at all? */
        failed |= 1;
    if (!is_device() && unlink(path) != 0 && errno != ENOENT)
        failed |= 2;
    if (!is_device() && rmdir(directory) != 0)
        failed |= 4;
    if (!remove_group())
        failed |= 8;
    return failed;
}

/* The header of mkswap(8), version 1: the first page of the file. */
static void fill_header(unsigned char *page, size_t size)
{
    static const char magic[] = "SWAPSPACE2";
    const uint32_t version = 1, last_page = (uint32_t)(FILE_BYTES / size - 1);
    memset(page, 0, size);
    memcpy(page + 1024, &version, sizeof version);
    memcpy(page + 1028, &last_page, sizeof last_page);
    memcpy(page + size - strlen(magic), magic, strlen(magic));
}

/* Written in full: a file with holes is no swap file. */
static bool write_file(void)
{
    int create = is_device() ? 0 : O_CREAT | O_EXCL;
    int file = open(path, O_WRONLY | O_CLOEXEC | create, 0600);
    char *chunk = calloc(1, CHUNK_BYTES);
    bool written = file >= 0 && chunk != NULL;
    for (size_t done = 0; written && done < FILE_BYTES; done += CHUNK_BYTES)
        written = write(file, chunk, CHUNK_BYTES) == (ssize_t)CHUNK_BYTES;
    if (written) {
        fill_header((unsigned char *)chunk, view_page_size());
        written = pwrite(file, chunk, view_page_size(), 0) > 0 && fsync(file) == 0;
    }
    free(chunk);
    if (file >= 0)
        close(file);
    return written;
}

static bool first_byte_is(const char *name, char wanted)
{
    FILE *file = fopen(name, "re");
    int first = file == NULL ? EOF : fgetc(file);
    if (file != NULL)
        fclose(file);
    return first == wanted;
}

static bool choose_path(void)
{
    const char *device = getenv("SECUREMEM_SWAP_DEVICE");
    if (device != NULL) {
        snprintf(path, sizeof path, "%.1024s", device);
        return true;
    }
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.1024s/securemem-swap-XXXXXX",
             parent != NULL ? parent : "/var/tmp");
    if (mkdtemp(directory) == NULL)
        return false;
    snprintf(path, sizeof path, "%s/file", directory);
    return true;
}

const char *swapfile_start(struct guardian *guardian)
{
    if (geteuid() != 0)
        return "swapon(2) needs root";
    if (first_byte_is("/sys/module/zswap/parameters/enabled", 'Y'))
        return "zswap keeps in memory what would go to the file";
    if (!choose_path())
        return "no directory for a swap file";
    grouped_by_v1 = access(GROUPS_V1 "/memory.limit_in_bytes", F_OK) == 0;
    snprintf(group, sizeof group, "%s/securemem-attack-%ld",
             grouped_by_v1 ? GROUPS_V1 : GROUPS_V2, (long)getpid());
    guardian_start(guardian, restore, NULL);
    const char *refused = NULL;
    if (!write_file())
        refused = "a swap file cannot be written";
    else if (swapon(path, SWAP_FLAG_PREFER | PRIORITY_MOST) != 0)
        refused = "swapon(2) is refused here";
    if (refused != NULL)
        (void)guardian_finish(guardian); /* nothing but files to take away */
    return refused;
}

int swapfile_finish(struct guardian *guardian)
{
    return guardian_finish(guardian);
}

static bool put(const char *name, unsigned long number)
{
    char file_path[PATH_MAX + 64];
    snprintf(file_path, sizeof file_path, "%s/%s", group, name);
    FILE *file = fopen(file_path, "we");
    if (file == NULL)
        return false;
    bool good = fprintf(file, "%lu\n", number) > 0;
    return fclose(file) == 0 && good;
}

const char *swapgroup_make(void)
{
    if (mkdir(group, 0700) != 0)
        return "no memory control group can be made";
    /* Where the disk is slow, a process waits there that memory.max would kill. */
    if (!put(grouped_by_v1 ? "memory.limit_in_bytes" : "memory.high", GROUP_BYTES))
        return "the control group has no limit of memory";
    if (grouped_by_v1)
        (void)put("memory.swappiness", 100); /* else as the machine has it */
    return NULL;
}

bool swapgroup_join(void)
{
    return put("cgroup.procs", (unsigned long)getpid());
}

/* Pages that do not look alike, so that none is saved as a pattern. */
static void fill(uint64_t *words, size_t count)
{
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++)
        words[i] = state = state * 6364136223846793005U + 1442695040888963407U;
}

/*
 * New and unlocked pages come onto the lists that the kernel puts out from in batches of
 * a CPU, and a last batch waits there until that CPU itself looks for memory.
 */
static void fill_on_every_cpu(uint64_t *words)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        _exit(3);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0)
            _exit(4);
        /* Every time at its start, which by then was put out itself. */
        fill(words, HOG_PART_BYTES / sizeof *words);
        (void)hidden(words);
        fill(words + HOG_PART_BYTES / sizeof *words,
             (HOG_BYTES - HOG_PART_BYTES) / sizeof *words / 4);
        (void)hidden(words);
    }
    if (sched_setaffinity(0, sizeof all, &all) != 0)
        _exit(5);
}

static void squeeze(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!swapgroup_join())
        _exit(1);
    uint64_t *words = malloc(HOG_BYTES);
    if (words == NULL)
        _exit(2);
    for (int i = 0; i < HOG_ROUNDS; i++) {
        fill(words, HOG_BYTES / sizeof *words);
        (void)hidden(words);
        if (i == 0)
            fill_on_every_cpu(words);
    }
    _exit(0);
}

void swapgroup_squeeze(void)
{
    pid_t pid = fork();
    if (pid == 0)
        squeeze();
    int status = -1;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* One pass over the file, past the page cache. */
static void count_once(unsigned char (*const markers)[MARKER_BYTES], size_t *counts,
                       size_t number)
{
    size_t page = view_page_size();
    unsigned char *chunk = NULL;
    int file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (file < 0 || posix_memalign((void **)&chunk, page, CHUNK_BYTES) != 0)
        fail_msg("the swap file cannot be read past the page cache");
    memset(counts, 0, number * sizeof *counts);
    ssize_t got;
    while ((got = read(file, chunk, CHUNK_BYTES)) > 0)
        for (size_t at = 0; at < (size_t)got; at += page)
            for (size_t i = 0; i < number; i++)
                counts[i] += marker_count(markers[i], chunk + at, page);
    free(chunk);
    close(file);
    assert_int_equal(got, 0);
}

void swapfile_count(unsigned char (*const markers)[MARKER_BYTES], size_t *counts,
                    size_t number, size_t enough)
{
    for (int i = 0; i < POLLS; i++) {
        count_once(markers, counts, number);
        if (counts[0] >= enough)
            break;
        nap();
    }
    /* What is late for the others has as long as the control took, and once more. */
    nap();
    count_once(markers, counts, number);
}
