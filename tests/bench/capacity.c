/* SPDX-License-Identifier: ISC */
#include "capacity.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/smaps.h"
#include "support/view.h"
#include "work.h"

#define SIZE 32

#define POPULATE_WRITE 23 /* MADV_POPULATE_WRITE, for older headers */

static size_t fill(const struct peer *peer, void **memory, size_t most)
{
    size_t made = 0;
    while (made < most && (memory[made] = peer->alloc(SIZE)) != NULL) {
        *(unsigned char *)memory[made] = 1;
        made++;
    }
    return made;
}

struct question {
    const struct peer *peer;
    size_t lock_limit, asked;
};

static int ask(void *argument)
{
    const struct question *question = argument;
    const struct peer *peer = question->peer;
    static void *memory[CAPACITY_MOST];
    peers_pool_bytes = question->lock_limit;
    if (!child_become_ordinary(question->lock_limit) || !peer->begin())
        return 1;
    smaps_make_room(CAPACITY_MOST);
    (void)smaps_read(); /* its table, before mappings are counted */
    size_t mappings = view_mappings(), locked = 0;
    size_t made = fill(peer, memory, question->asked);
    size_t more = view_mappings() - mappings;
    (void)smaps_read();
    for (size_t i = 0; i < made; i++) {
        const struct smaps_entry *entry = smaps_at(memory[i]);
        locked += entry != NULL && entry->locked;
    }
    printf("%-34s%12zu%16zu%12zu\n", peer->name, made, locked, more);
    return fflush(stdout);
}

void capacity_print(size_t lock_limit, size_t asked)
{
    asked = asked < CAPACITY_MOST ? asked : CAPACITY_MOST;
    printf("\nRLIMIT_MEMLOCK %zu MiB, not root, %zu secrets of %d B asked for\n\n"
           "%-34s%12s%16s%12s\n",
           lock_limit >> 20, asked, SIZE, "", "given", "really locked", "mappings");
    fflush(stdout);
    for (size_t p = 0; p < PEERS; p++) {
        struct question question = {&peers[p], lock_limit, asked};
        struct child_end end;
        if (peers[p].bare)
            continue;
        fflush(stdout);
        child_run(ask, &question, &end);
        if (end.exit_code != 0)
            printf("%-34s%12s\n", peers[p].name, "-");
    }
}

struct grown {
    size_t made, mappings, locked;
    double each; /* nanoseconds */
};

static struct grown grow(const struct peer *peer, size_t count)
{
    void **memory = calloc(count, sizeof *memory);
    if (memory == NULL || !peer->begin())
        exit(1);
    size_t mappings = view_mappings(), locked = view_locked_bytes();
    double start = work_now();
    size_t made = fill(peer, memory, count);
    double each = (work_now() - start) / (double)(made == 0 ? 1 : made);
    return (struct grown){made, view_mappings() - mappings, view_locked_bytes() - locked,
                          each};
}

/* What of it is not ours: a page is brought in, its guard lies beside it, and is touched. */
static struct grown populate(size_t count)
{
    size_t page = view_page_size(), length = 2 * count * page;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    double start = work_now();
    for (size_t i = 0; i < count; i++) {
        if (madvise(memory + 2 * i * page, page, POPULATE_WRITE) != 0)
            exit(1);              /* before Linux 5.14 */
        memory[2 * i * page] = 1; /* in a virtual machine its host maps it only now */
    }
    return (struct grown){.made = count, .each = (work_now() - start) / (double)count};
}

size_t capacity_most(size_t count, size_t bytes)
{
    size_t fit = (size_t)sysconf(_SC_AVPHYS_PAGES) * view_page_size() / bytes;
    return count < fit ? count : fit;
}

/* In a process of its own, whose end gives all of it back at once. */
static struct grown grow_apart(const struct peer *peer, size_t count)
{
    struct grown grown;
    int ends[2], status;
    fflush(stdout);
    if (pipe(ends) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        grown = peer == NULL ? populate(count) : grow(peer, count);
        _exit(write(ends[1], &grown, sizeof grown) != sizeof grown);
    }
    close(ends[1]);
    if (pid < 0 || read(ends[0], &grown, sizeof grown) != sizeof grown)
        memset(&grown, 0, sizeof grown); /* not there: the child said why */
    close(ends[0]);
    if (pid > 0 && waitpid(pid, &status, 0) != pid)
        exit(1);
    return grown;
}

static int compare(const void *a, const void *b)
{
    double x = ((const struct grown *)a)->each, y = ((const struct grown *)b)->each;
    return (x > y) - (x < y);
}

void capacity_grow(const struct peer *peer, size_t count, size_t rounds)
{
    struct grown grown[CAPACITY_ROUNDS];
    for (size_t r = 0; r < rounds; r++)
        grown[r] = grow_apart(peer, count);
    qsort(grown, rounds, sizeof *grown, compare);
    struct grown middle = grown[rounds / 2];
    if (peer == NULL)
        printf(
            "%9zu of %zu, the kernel alone: %.0f ns each to bring a page in and touch it\n",
            middle.made, count, middle.each);
    else
        printf("%9zu of %zu, %s: %zu mappings, %zu MiB locked, %.0f ns each to make\n",
               middle.made, count, peer->name, middle.mappings, middle.locked >> 20,
               middle.each);
}
