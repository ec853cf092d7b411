/* SPDX-License-Identifier: ISC */
/*
 * Secrets in and out without a copy: by read(2) straight into their place, and by write(2)
 * from it. Nothing passes through stdio, a heap or the stack, but for one byte by which a
 * file is found to be longer than it said. The kernel's own buffers (a pipe, a terminal,
 * the page cache) are not the library's to wipe. None is a cancellation point (pthreads(7)).
 *
 * Functions that make a secret take the arena that it is to be in; NULL is the default one
 * (arena.h). Their errno may also be any of securemem_arena_alloc's. What ends early, is too
 * long or malformed leaves no part of a secret behind.
 *
 * Text (a passphrase, a variable, an argument, hex and base64) ends in a zero byte, which
 * securemem_size counts.
 */
#ifndef SECUREMEM_TRANSFER_H
#define SECUREMEM_TRANSFER_H

#include <securemem/arena.h>
#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Reads just size bytes from a descriptor into place, across short reads, signals that
 * interrupt, and waits where it would block (poll(2)), for as long as it takes.
 * 0, -EINVAL (secret is NULL, or begins a secret of fewer bytes), -ENODATA (it ended
 * before), -EBADF, -EFAULT (the secret is closed, or a part is not mapped), -EISDIR, -EIO
 * (anything else; kernel_code has it). On a refusal what came is zeros again and the bytes
 * beyond are as before; on -EFAULT all that can still be written is zeros, if /dev/zero is
 * there.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_read_fd(int fd, void *secret,
                                                         size_t size);

/*
 * Writes size bytes to a descriptor, in the same way. Like write(2) it raises SIGPIPE where
 * whoever read is gone, which ends a program that neither ignores nor handles it.
 * 0, -EINVAL (as above), -EBADF, -EFAULT (the secret is closed), -EPIPE, -EIO; a part may
 * have been written.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int securemem_write_fd(int fd, const void *secret,
                                                          size_t size);

/* What others may do with a file that a secret was read from, by its mode and owner. */
typedef enum securemem_file_flaw {
    SECUREMEM_FILE_READABLE = 1, /* its group or others may read it */
    SECUREMEM_FILE_WRITABLE = 2, /* its group or others may write it */
    SECUREMEM_FILE_FOREIGN =
        4,                     /* it belongs to a user who is neither this one nor root */
    SECUREMEM_FILE_SPECIAL = 8 /* it is no regular file */
} securemem_file_flaw;

typedef struct securemem_file_report {
    unsigned flaws; /* of securemem_file_flaw */
    uint32_t owner, mode;
    uint64_t reserved[4];
} securemem_file_report;

/*
 * The whole of a file, or of what a device, a pipe or a file of /proc gives until its end,
 * as a secret of just its size; symbolic links are followed. report, where it is not NULL,
 * is filled as soon as the file is open.
 * NULL: EINVAL (path is NULL), ENOENT, EACCES, EISDIR, EFBIG (more than limit bytes), EIO.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *
securemem_read_file(securemem_arena *arena, const char *path, size_t limit,
                    securemem_file_report *report);

/*
 * A credential of the service (systemd.exec(5), LoadCredential=): the file of that name in
 * $CREDENTIALS_DIRECTORY, which is not a symbolic link. The variable is not looked at where
 * its user is not trusted (secure_getenv(3)).
 * NULL: EINVAL (not a plain name, or the variable is no absolute path), ENOENT (none, or
 * the variable is not set), EACCES, EISDIR, EFBIG, EIO.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *
securemem_read_credential(securemem_arena *arena, const char *name, size_t limit);

/*
 * A line from the terminal of the process (/dev/tty), without echo, as text without its
 * newline, of 4094 bytes at the most: a terminal cuts a longer one. The terminal is as
 * before afterwards, also where a signal ends or stops the process meanwhile, or another
 * thread calls exit(3): each signal that would is caught, the terminal put back, and the
 * signal raised again; after a stop, SIGSTOP among them, the prompt is shown anew. A handler
 * of the program's for SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM or a stop of the
 * terminal's runs when that is back; one for any other signal runs as it comes, and leaves
 * the terminal without echo if it ends the process. Nothing catches SIGKILL. One thread at
 * a time, which is not cancelled meanwhile.
 * NULL: EINVAL (prompt is NULL, or limit is 0), ENOTTY (no terminal), EFBIG (more than
 * limit bytes, or than a terminal keeps), ENODATA (the end of the file), EINTR (a signal
 * that did not end the process), EAGAIN (another thread is reading one), EIO.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *
securemem_read_passphrase(securemem_arena *arena, const char *prompt, size_t limit);

/*
 * The value of a variable, which is wiped where it stood, so that /proc/PID/environ shows
 * it no more, and unset; of one that stands there more than once, the first that getenv(3)
 * finds, and all are wiped. Pointers to it that the program has show zeros; copies that it
 * made, or setenv(3) of an earlier value, stay. As with unsetenv(3), no other thread may use
 * the environment meanwhile. NULL: EINVAL (name is NULL, empty or has a '='), ENOENT.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_take_env(securemem_arena *arena,
                                                            const char *name);

/*
 * An argument of main, which is wiped where it stands: /proc/PID/cmdline shows zeros, as
 * many as it had characters. Until then anybody may have seen it. NULL: EINVAL (argument is
 * NULL).
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_take_arg(securemem_arena *arena,
                                                            char *argument);

/* size random bytes (getrandom(2), through libsodium, which aborts where there are none). */
SECUREMEM_API SECUREMEM_USE_RESULT void *securemem_random(securemem_arena *arena,
                                                          size_t size);

/*
 * The bytes of length characters of hex or of base64 (RFC 4648, with padding), in a time
 * that depends on length alone where they are well-formed, and else also on where they are
 * not; nothing else may be among them, spaces and newlines neither. NULL: EINVAL.
 */
SECUREMEM_API SECUREMEM_USE_RESULT void *
securemem_from_hex(securemem_arena *arena, const char *text, size_t length);
SECUREMEM_API SECUREMEM_USE_RESULT void *
securemem_from_base64(securemem_arena *arena, const char *text, size_t length);

/* The text of size bytes, lower case or padded. NULL: EINVAL, ENOMEM. */
SECUREMEM_API SECUREMEM_USE_RESULT char *
securemem_to_hex(securemem_arena *arena, const void *secret, size_t size);
SECUREMEM_API SECUREMEM_USE_RESULT char *
securemem_to_base64(securemem_arena *arena, const void *secret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
