/* SPDX-License-Identifier: ISC */
/* hog MEBIBYTES: writes to so much memory, again and again, until it is ended. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive who started it */
    volatile char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == 0 || memory == MAP_FAILED) {
        (void)fputs("usage: hog MEBIBYTES\n", stderr);
        return 2;
    }
    for (;;)
        for (size_t i = 0; i < bytes; i += 4096)
            memory[i]++;
}
