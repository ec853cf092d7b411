/* SPDX-License-Identifier: ISC */
/* Unix sockets of packets (SOCK_SEQPACKET), at a path. Results are those of say.h. */
#ifndef METRONOME_SOCKET_H
#define METRONOME_SOCKET_H

#include <stdbool.h>

/*
 * Makes a socket of mode 0600 at path and listens. One that nobody listens on any more is
 * replaced; anything else at path is left, and an error. The caller closes *fd and unlinks.
 */
const char *socket_listen(const char *path, int *fd);

/* Connects to the socket at path. The caller closes *fd. */
const char *socket_connect(const char *path, int *fd);

/* Whether the process at the other end is of this process's user. */
bool socket_is_of_own_user(int fd);

#endif
