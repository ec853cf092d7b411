/* SPDX-License-Identifier: ISC */
/*
 * Files: a key comes in, a message comes in, a signature goes out.
 *
 * Results are those of say.h. Outputs are set only on success.
 */
#ifndef SIGN_FILE_H
#define SIGN_FILE_H

#include <stddef.h>

/* The longest key file. An Ed25519 key takes 119 bytes; the rest is for text around it,
 * and for keys of other kinds, which deserve an answer of their own. */
#define FILE_KEY_MAX ((size_t)16384)

/* The longest message, in bytes: Ed25519 reads it twice, so it is held whole. */
#define FILE_MESSAGE_MAX ((size_t)256 << 20)

/*
 * Reads all of the file with read(2) into a new secret: *size bytes of it are the file.
 * The caller frees *secret with securemem_free.
 */
const char *file_read_key(const char *path, unsigned char **secret, size_t *size);

/* NULL, or a warning that the file's mode lets others than its owner read it. */
const char *file_exposure(const char *path);

/* Reads all of the file, at most FILE_MESSAGE_MAX bytes. The caller frees *message. */
const char *file_read_message(const char *path, unsigned char **message, size_t *size);

/*
 * Makes the file, or replaces its contents, unless it is one of the two inputs under any
 * name. Where writing fails a regular file is removed, so that no half of a signature
 * is taken for a whole one.
 */
const char *file_write_signature(const char *path, const unsigned char *signature,
                                 size_t size, const char *const inputs[2]);

#endif
