/* SPDX-License-Identifier: ISC */
#include "capacity.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

static void grow(const struct peer *peer, size_t count)
{
    void **memory = calloc(count, sizeof *memory);
    if (memory == NULL || !peer->begin())
        exit(1);
    size_t mappings = view_mappings(), locked = view_locked_bytes();
    double start = work_now();
    size_t made = fill(peer, memory, count);
    double each = (work_now() - start) / (double)(made == 0 ? 1 : made);
    printf("%9zu of %zu, %s: %zu mappings, %zu MiB locked, %.0f ns each to make\n", made,
           count, peer->name, view_mappings() - mappings,
           (view_locked_bytes() - locked) >> 20, each);
    fflush(stdout);
    _exit(0);
}

/* What of it is the kernel's: a page is brought in, and its guard lies beside it. */
static void populate(size_t count)
{
    size_t page = view_page_size(), length = 2 * count * page;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    double start = work_now();
    for (size_t i = 0; i < count; i++)
        if (madvise(memory + 2 * i * page, page, POPULATE_WRITE) != 0)
            exit(1); /* before Linux 5.14 */
    printf("%9zu of %zu, the kernel alone: %.0f ns each to bring a page in\n", count,
           count, (work_now() - start) / (double)count);
    fflush(stdout);
    _exit(0);
}

size_t capacity_most(size_t count, size_t bytes)
{
    size_t fit = (size_t)sysconf(_SC_AVPHYS_PAGES) * view_page_size() / bytes;
    return count < fit ? count : fit;
}

void capacity_grow(const struct peer *peer, size_t count)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0 && peer == NULL)
        populate(count);
    if (pid == 0)
        grow(peer, count);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(1);
}
