/* SPDX-License-Identifier: ISC */
/*
 * Requests over a Unix socket, a line each, from programs of the same user:
 *
 *      add NUMBER     the ticker adds it to the sum      ok | busy
 *      stats          what was measured so far           name=value ... in one line
 *
 * Anything else, and a line of over 80 bytes, gets "error ..." and the connection is
 * closed.
 */
#ifndef METRONOME_SERVER_H
#define METRONOME_SERVER_H

#include <stddef.h>

#include "ticker.h"

/* Listens at path, where a socket that nobody listens to is replaced. -1, said. */
int server_open(const char *path);

/* Serves until a signal is to be read from signals, or so many milliseconds; -1: for ever. */
void server_run(int listener, int signals, int milliseconds, struct ticker *ticker);

/* What "stats" answers, without its newline. */
void server_stats(const struct ticker *ticker, char *line, size_t size);

#endif
