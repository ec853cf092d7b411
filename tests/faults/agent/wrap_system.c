/* SPDX-License-Identifier: ISC */
/*
 * What the agent asks of the system. Left alone: umask(2), which cannot fail, and calls that
 * look at memory alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/agent/fault.h"

/* Starting and ending. */
FAULT_ERRNO(char *, NULL, mkdtemp, (char *path), (path), EACCES, ENOSPC)
FAULT_ERRNO(int, -1, socket, (int domain, int type, int protocol),
            (domain, type, protocol), EMFILE, ENOBUFS)
FAULT_ERRNO(int, -1, bind, (int fd, const struct sockaddr *address, socklen_t length),
            (fd, address, length), EADDRINUSE, EACCES)
FAULT_ERRNO(int, -1, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE)
FAULT_ERRNO(int, -1, unlink, (const char *path), (path), EACCES)
FAULT_ERRNO(int, -1, rmdir, (const char *path), (path), EACCES)
FAULT_ERRNO(pid_t, -1, setsid, (void), (), EPERM)
FAULT_ERRNO(int, -1, chdir, (const char *path), (path), EACCES)
FAULT_ERRNO(int, -1, dup2, (int from, int to), (from, to), EMFILE)
FAULT_ERRNO(int, -1, setenv, (const char *name, const char *value, int over),
            (name, value, over), ENOMEM)
FAULT_ERRNO(ssize_t, -1, write, (int fd, const void *bytes, size_t size),
            (fd, bytes, size), EPIPE)
typedef void (*fault_handler)(int);
FAULT_ERRNO(fault_handler, SIG_ERR, signal, (int number, fault_handler handler),
            (number, handler), EINVAL)
FAULT_ERRNO(int, -1, sigprocmask, (int how, const sigset_t *set, sigset_t *old),
            (how, set, old), EINVAL)
FAULT_ERRNO(int, -1, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags),
            EMFILE, ENOMEM)
FAULT_ERRNO(int, -1, epoll_create1, (int flags), (flags), EMFILE, ENOMEM)
FAULT_ERRNO(int, -1, pipe2, (int ends[2], int flags), (ends, flags), EMFILE)
FAULT_ERRNO(int, -1, pidfd_open, (pid_t pid, unsigned flags), (pid, flags), EMFILE,
            ENOSYS)

/* Who connects. */
FAULT_ERRNO(int, -1, epoll_ctl,
            (int events, int operation, int fd, struct epoll_event *event),
            (events, operation, fd, event), ENOMEM, ENOSPC)
FAULT_ERRNO(int, -1, accept4,
            (int fd, struct sockaddr *address, socklen_t *length, int flags),
            (fd, address, length, flags), EMFILE, ENFILE, ECONNABORTED, ENOMEM, EINTR)

/* A question. */
FAULT_VALUE(int, posix_spawn,
            (pid_t * pid, const char *path, const posix_spawn_file_actions_t *files,
             const posix_spawnattr_t *how, char *const argv[], char *const envp[]),
            (pid, path, files, how, argv, envp), ENOENT, EAGAIN, ENOMEM)
FAULT_VALUE(int, posix_spawn_file_actions_init, (posix_spawn_file_actions_t * files),
            (files), ENOMEM)
FAULT_VALUE(int, posix_spawn_file_actions_addopen,
            (posix_spawn_file_actions_t * files, int fd, const char *path, int flags,
             mode_t mode),
            (files, fd, path, flags, mode), ENOMEM)
FAULT_VALUE(int, posix_spawn_file_actions_adddup2,
            (posix_spawn_file_actions_t * files, int fd, int to), (files, fd, to), ENOMEM)
FAULT_VALUE(int, posix_spawnattr_init, (posix_spawnattr_t * how), (how), ENOMEM)
FAULT_VALUE(int, posix_spawnattr_setsigmask,
            (posix_spawnattr_t * how, const sigset_t *set), (how, set), EINVAL)
FAULT_VALUE(int, posix_spawnattr_setflags, (posix_spawnattr_t * how, short flags),
            (how, flags), EINVAL)
FAULT_ERRNO(pid_t, -1, waitpid, (pid_t pid, int *status, int options),
            (pid, status, options), EINTR)
FAULT_ERRNO(int, -1, kill, (pid_t pid, int signal), (pid, signal), EPERM)

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    if (fault_take("fork", 1) >= 0) {
        errno = EAGAIN;
        return -1;
    }
    pid_t pid = __real_fork();
    if (pid == 0 && fault_counts)
        fault_side = FAULT_AGENT;
    return pid;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode = 0;
    va_start(rest, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(rest, mode_t);
    va_end(rest);
    if (fault_take("open", 1) < 0)
        return __real_open(path, flags, mode);
    errno = EMFILE;
    return -1;
}

/* One that fails closes nevertheless, as Linux does. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int closed = __real_close(fd);
    if (fault_take("close", 1) < 0)
        return closed;
    errno = EIO;
    return -1;
}

static bool is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Also one byte where there are more, and the end, which a program's answer has not. */
ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
    static const int codes[] = {EINTR, EAGAIN, ECONNRESET};
    unsigned refusals = FAULT_LENGTH(codes);
    int variant = fault_take("read", refusals + 2);
    if (variant < 0 || (variant == (int)refusals + 1 && !is_socket(fd)))
        return __real_read(fd, bytes, size);
    if (variant == (int)refusals)
        return __real_read(fd, bytes, size < 1 ? size : 1);
    if (variant == (int)refusals + 1)
        return 0;
    errno = codes[variant];
    return -1;
}

ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
    static const int codes[] = {EINTR, EAGAIN, EPIPE, ENOMEM};
    unsigned refusals = FAULT_LENGTH(codes);
    int variant = fault_take("send", refusals + 1);
    if (variant < 0 || variant == (int)refusals)
        return __real_send(fd, bytes, variant < 0 || size < 1 ? size : 1, flags);
    errno = codes[variant];
    return -1;
}

/* Also nothing, where there is something. */
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    static const int codes[] = {EINTR, ENOMEM};
    unsigned refusals = FAULT_LENGTH(codes);
    int variant = fault_take("poll", refusals + 1);
    if (variant < 0)
        return __real_poll(fds, count, timeout);
    if (variant == (int)refusals)
        return 0;
    errno = codes[variant];
    return -1;
}

/* Also another user at the other end. */
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    int variant = fault_take("getsockopt", 2);
    if (variant == 0) {
        errno = ENOMEM;
        return -1;
    }
    int got = __real_getsockopt(fd, level, name, value, length);
    if (variant > 0 && name == SO_PEERCRED)
        ((struct ucred *)value)->uid ^= 1;
    return got;
}
