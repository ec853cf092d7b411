/* SPDX-License-Identifier: ISC */
/*
 * hog MIB: writes that much memory over and over, until it is killed. Beside it in a memory
 * control group, the metronome knows real pressure.
 *
 * Four threads write a quarter each, for one alone waits for the disk most of the time.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MEBIBYTE ((size_t)1 << 20)
#define WRITERS  4U

static size_t page, part; /* bytes; of one writer */

static void *write_on(void *argument)
{
    volatile unsigned char *memory = argument;
    for (;;)
        for (size_t at = 0; at < part; at += page)
            memory[at]++;
    return NULL;
}

int main(int argc, char **argv)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    part = argc == 2 ? strtoul(argv[1], NULL, 10) * MEBIBYTE / WRITERS : 0;
    if (part == 0) {
        (void)fputs("usage: hog MIB\n", stderr);
        return 2;
    }
    /* Not to be left behind by a script that was killed. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsigned char *memory = mmap(NULL, WRITERS * part, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("hog: mmap");
        return EXIT_FAILURE;
    }
    for (unsigned i = 1; i < WRITERS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, write_on, memory + i * part) != 0) {
            (void)fputs("hog: a thread is refused\n", stderr);
            return EXIT_FAILURE;
        }
    }
    (void)write_on(memory);
}
