/* SPDX-License-Identifier: ISC */
/*
 * The terminal of the process without its echo, and the signals that would leave it so.
 * Contract as in kernel.h; one terminal at a time, no cancellation point (pthreads(7)).
 */
#ifndef SMEM_TERMINAL_H
#define SMEM_TERMINAL_H

#include <stdbool.h>

/*
 * The most characters that a terminal keeps of a line, beside its newline (N_TTY_BUF_SIZE):
 * a line of so many may have been longer.
 */
#define SMEM_TERMINAL_LINE 4095U

/* The calling process. */
int smem_kernel_self(void);

/* /dev/tty, to read and write: its descriptor. */
int smem_kernel_open_terminal(void);

/*
 * No echo from now on, what was typed before is discarded; and back as it was, what was
 * typed since is discarded. exit(3), of whichever thread, puts it back too. -EINTR where a
 * caught signal is waiting: it may be that of a process in the background, which is not
 * let change the terminal. Quieted again, it is still to be put back as it was at first.
 */
int smem_kernel_quiet_terminal(int descriptor);
int smem_kernel_restore_terminal(int descriptor);

/*
 * Catches, in whichever thread, each signal that would end or stop the process, those that
 * readpassphrase(3) catches also where the program handles them, and SIGCONT: who stopped
 * the process may have changed the terminal. One that a fault or abort(3) raised puts the
 * quiet terminal back at once and goes its way; any other waits: the next wait returns. A
 * child that is forked meanwhile ends by them as if none were caught.
 */
int smem_kernel_catch_signals(void);

/* As they were before. */
void smem_kernel_release_signals(void);

/*
 * Waits for something to read. 0, -EINTR where a caught signal is waiting, or what poll(2)
 * refused.
 */
int smem_kernel_wait_terminal(int descriptor);

/*
 * Raises again what was caught, now that it is released, whether there was any goes to
 * *caught. True where they were only such as stop the process, which goes on now, or
 * SIGCONT.
 */
bool smem_kernel_raise_signals(bool *caught);

#endif
