/* SPDX-License-Identifier: ISC */
#include "socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 8

static const char *address_of(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->sun_path)
        return "the path of a socket has 1 to 107 bytes";
    memcpy(address->sun_path, path, length);
    return NULL;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

const char *socket_connect(const char *path, int *fd)
{
    struct sockaddr_un address;
    const char *wrong = address_of(path, &address);
    if (wrong != NULL)
        return wrong;
    int made = open_socket();
    if (made < 0)
        return strerror(errno);
    if (connect(made, (struct sockaddr *)&address, sizeof address) != 0) {
        wrong = strerror(errno);
        (void)close(made);
        return wrong;
    }
    *fd = made;
    return NULL;
}

/* A socket outlives the process that made it: one that refuses is nobody's. */
static const char *remove_abandoned(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(info.st_mode))
        return "is there, and is not a socket";
    struct sockaddr_un address;
    const char *wrong = address_of(path, &address);
    if (wrong != NULL)
        return wrong;
    int probe = open_socket();
    if (probe < 0)
        return strerror(errno);
    bool abandoned = connect(probe, (struct sockaddr *)&address, sizeof address) != 0 &&
                     errno == ECONNREFUSED;
    (void)close(probe);
    if (!abandoned)
        return "somebody listens there already";
    return unlink(path) == 0 ? NULL : strerror(errno);
}

const char *socket_listen(const char *path, int *fd)
{
    struct sockaddr_un address;
    const char *wrong = address_of(path, &address);
    if (wrong == NULL)
        wrong = remove_abandoned(path);
    if (wrong != NULL)
        return wrong;
    int made = open_socket();
    if (made < 0)
        return strerror(errno);
    mode_t before = umask(S_IRWXG | S_IRWXO | S_IXUSR);
    int bound = bind(made, (struct sockaddr *)&address, sizeof address);
    if (bound != 0)
        wrong = strerror(errno);
    (void)umask(before);
    if (bound != 0)
        goto close_socket;
    if (listen(made, BACKLOG) != 0) {
        wrong = strerror(errno);
        goto unlink_path;
    }
    *fd = made;
    return NULL;

unlink_path:
    (void)unlink(path);
close_socket:
    (void)close(made);
    return wrong;
}

bool socket_is_of_own_user(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.uid == geteuid();
}
