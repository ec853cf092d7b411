/* SPDX-License-Identifier: ISC */
/*
 * The terminal of the process without its echo, and the signals that would leave it so.
 * Contract as in kernel.h; one terminal at a time.
 */
#ifndef SMEM_TERMINAL_H
#define SMEM_TERMINAL_H

#include <stdbool.h>

/* /dev/tty, to read and write: its descriptor. */
int smem_kernel_open_terminal(void);

/*
 * No echo from now on, what was typed before is discarded; and back as it was, what was
 * typed since is discarded. -EINTR where a signal stopped the first.
 */
int smem_kernel_quiet_terminal(int descriptor);
int smem_kernel_restore_terminal(int descriptor);

/*
 * Catches every signal that would end or stop the process, in whichever thread, but for
 * those that the program ignores or, beside the ones of a terminal (SIGINT, SIGQUIT,
 * SIGTERM, SIGHUP, SIGTSTP), handles itself. One that a fault or abort(3) raised puts the
 * quiet terminal back at once and goes its way; any other waits: the next wait returns.
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
 * Raises again what was caught, now that it is released; true where one was that stops the
 * process, which goes on now. *caught: whether there was any.
 */
bool smem_kernel_raise_signals(bool *caught);

#endif
