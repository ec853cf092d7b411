/* SPDX-License-Identifier: ISC */
#include "socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128

static const char too_long[] = "the path of a socket has 1 to 107 bytes";

/* mkdtemp(3) makes it of mode 0700. */
static const char *make_folder(struct socket *made)
{
    const char *where = getenv("TMPDIR");
    int length = snprintf(made->folder, sizeof made->folder, "%s/ssh-XXXXXX",
                          where != NULL ? where : "/tmp");
    if (length < 0 || (size_t)length >= sizeof made->folder)
        goto too_long;
    if (mkdtemp(made->folder) != NULL)
        return NULL;
    made->folder[0] = '\0';
    return strerror(errno);

too_long:
    made->folder[0] = '\0';
    return too_long;
}

/* Absolute: the agent leaves this folder, and removes the socket from another one. */
static const char *name(struct socket *made, const char *path)
{
    char here[sizeof made->address.sun_path] = "";
    if (path != NULL && path[0] != '/' && getcwd(here, sizeof here) == NULL)
        return errno == ERANGE ? too_long : strerror(errno);
    const char *between = here[0] != '\0' && here[1] != '\0' ? "/" : "";
    int length = path != NULL
                     ? snprintf(made->address.sun_path, sizeof made->address.sun_path,
                                "%s%s%s", here, between, path)
                     : snprintf(made->address.sun_path, sizeof made->address.sun_path,
                                "%s/agent.%ld", made->folder, (long)getpid());
    return length > 0 && (size_t)length < sizeof made->address.sun_path ? NULL : too_long;
}

/* The umask has bind(2) make it of mode 0600. */
static const char *listen_at(struct socket *made)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return strerror(errno);
    mode_t before = umask(S_IRWXG | S_IRWXO | S_IXUSR);
    int bound = bind(fd, (struct sockaddr *)&made->address, sizeof made->address);
    int code = errno;
    (void)umask(before);
    if (bound != 0) {
        (void)close(fd);
        return strerror(code);
    }
    if (listen(fd, BACKLOG) != 0) {
        code = errno;
        (void)unlink(made->address.sun_path);
        (void)close(fd);
        return strerror(code);
    }
    made->listener = fd;
    return NULL;
}

const char *socket_open(struct socket *made, const char *path)
{
    *made = (struct socket){.listener = -1, .address.sun_family = AF_UNIX};
    const char *wrong = path == NULL ? make_folder(made) : NULL;
    if (wrong == NULL)
        wrong = name(made, path);
    if (wrong == NULL)
        wrong = listen_at(made);
    if (wrong != NULL && made->folder[0] != '\0')
        (void)rmdir(made->folder);
    return wrong;
}

void socket_close(struct socket *made)
{
    (void)close(made->listener);
    (void)unlink(made->address.sun_path);
    if (made->folder[0] != '\0')
        (void)rmdir(made->folder);
}

bool socket_is_of_own_user(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.uid == geteuid();
}
