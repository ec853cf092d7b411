/* SPDX-License-Identifier: ISC */
/*
 * bench [--brief] [SVG]: what secrets cost, beside malloc and the peers, and how many fit.
 *
 * The machine is noisy: in each round every peer runs once, in a process of its own, and
 * what is printed are medians over rounds; ratios are what to quote. Nothing is judged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "capacity.h"
#include "connection.h"
#include "realtime.h"
#include "report.h"
#include "scratch.h"
#include "sealed.h"
#include "secretmem.h"

#define SIZE_OF_TWO 32 /* bytes, for two threads */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define PAIRS 5

/*
 * What two threads do, times what one does: in turns, since a processor may be half as fast
 * again a moment later.
 */
static double scale(const struct peer *peer, enum pattern pattern, double milliseconds)
{
    double ratios[PAIRS];
    for (size_t i = 0; i < PAIRS; i++) {
        double one = work_time(peer, pattern, SIZE_OF_TWO, 1, milliseconds);
        double two = work_time(peer, pattern, SIZE_OF_TWO, 2, milliseconds);
        /* One that frees what the other makes gets no further than that. */
        ratios[i] = two <= 0 ? 0 : (pattern == PASSED ? 1 : 2) * one / two;
    }
    qsort(ratios, PAIRS, sizeof *ratios, compare);
    return ratios[PAIRS / 2];
}

static void measure(const struct peer *peer, double milliseconds, struct sample *out)
{
    out->there = peer->begin();
    if (!out->there)
        return;
    for (int pattern = ONCE; pattern <= LIVE; pattern++)
        for (size_t s = 0; s < REPORT_SIZES; s++)
            out->one[pattern][s] =
                work_time(peer, (enum pattern)pattern, report_sizes[s], 1, milliseconds);
    for (int pattern = ONCE; pattern < PATTERNS; pattern++)
        out->two[pattern] = scale(peer, (enum pattern)pattern, milliseconds / 2);
    out->trip = work_round_trip();
    out->tail = work_tail(peer);
}

/* A process for each peer and round, which sends its sample through a pipe. */
static void run_peer(const struct peer *peer, double milliseconds, struct sample *out)
{
    int ends[2], status;
    if (pipe(ends) != 0)
        exit(1);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct sample sample = {0};
        measure(peer, milliseconds, &sample);
        _exit(write(ends[1], &sample, sizeof sample) != sizeof sample);
    }
    close(ends[1]);
    if (pid < 0 || read(ends[0], out, sizeof *out) != sizeof *out)
        memset(out, 0, sizeof *out);
    close(ends[0]);
    if (pid > 0 && waitpid(pid, &status, 0) != pid)
        exit(1);
}

int main(int argc, char **argv)
{
    bool brief = argc > 1 && strcmp(argv[1], "--brief") == 0;
    const char *picture = argc > 1 + brief ? argv[1 + brief] : NULL;
    static struct report report;
    report.rounds = brief ? 1 : REPORT_ROUNDS;
    for (size_t r = 0; r < report.rounds; r++)
        for (size_t p = 0; p < PEERS; p++)
            run_peer(&peers[p], brief ? 0.5 : 8, &report.samples[p][r]);
    report_print(&report);
    if (brief)
        capacity_print((size_t)1 << 20, CAPACITY_MOST / 8);
    else
        capacity_print((size_t)8 << 20, CAPACITY_MOST);

    printf("\nGrowth\n\n");
    const struct peer *packed = &peers[PEER_PACKED], *guarded = &peers[PEER_GUARDED];
    size_t rounds = brief ? 1 : CAPACITY_ROUNDS;
    capacity_grow(guarded, 1000, rounds);
    capacity_grow(guarded, brief ? 2000 : capacity_most(1000000, 8192), rounds);
    capacity_grow(NULL, 1000, rounds);
    capacity_grow(NULL, brief ? 2000 : capacity_most(1000000, 8192), rounds);
    capacity_grow(packed, 1000, rounds);
    capacity_grow(packed, brief ? 100000 : capacity_most(10000000, 128), rounds);
    connection_print(brief ? 1 : REPORT_ROUNDS, brief ? 10 : 500);
    realtime_print(brief ? 3 : 21, (brief ? (size_t)64 : (size_t)1024) << 20);
    sealed_print(brief ? 1 : REPORT_ROUNDS, brief ? 0.5 : 8, brief ? 10000 : 1000000);
    scratch_print(brief ? 1 : REPORT_ROUNDS, brief ? 0.5 : 8);
    secretmem_print(brief ? 1 : REPORT_ROUNDS, brief ? 0.5 : 8, brief ? 50 : 1000);
    agent_print(brief ? 1 : REPORT_ROUNDS, brief ? 50 : 500);
    if (picture != NULL && !report_draw(&report, picture)) {
        perror(picture);
        return 1;
    }
    return report.samples[PEER_MALLOC][0].there && report.samples[PEER_PACKED][0].there
               ? 0
               : 1;
}
