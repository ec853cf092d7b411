/* SPDX-License-Identifier: ISC */
/* The detail behind securemem_last_error(). Every refusal of the library passes here. */
#ifndef SMEM_ERROR_H
#define SMEM_ERROR_H

#include <securemem/error.h>
#include <stddef.h>

#define SMEM_MESSAGE_BYTES 384

/*
 * A system call refused. Records operation (a static string), what was needed and, for
 * the limit that the refusal points to, the limit, the use and the remedy. kernel_code is
 * a negative errno. Gives the negative errno of the closed set that stands for it.
 */
int smem_error_kernel(const char *operation, int kernel_code, size_t needed);

/* The caller's argument is not what the function takes: -EINVAL. message is static. */
int smem_error_argument(const char *operation, const char *message);

/* A refusal of the library's own, with code positive and message static: -code. */
int smem_error_own(const char *operation, int code, const char *message);

/* The same with figures, in bytes, and a sentence that is copied. */
int smem_error_limit(const char *operation, int code, size_t needed, size_t limit,
                     size_t in_use, const char *sentence);

/* A file of /proc cannot be read: -EPERM. kernel_code is a negative errno. */
int smem_error_unreadable(const char *path, int kernel_code);

/*
 * A file or descriptor refuses: -code, positive there, of the set; kernel_code is positive.
 * name says which one, and remedy, static, what to do.
 */
int smem_error_file(const char *operation, int code, int kernel_code, const char *name,
                    const char *remedy);

/*
 * Between the two, refusals leave no record: while a refused call is undone the first
 * error is the one to tell.
 */
void smem_error_hold(void);
void smem_error_resume(void);

/* The calling thread's record, while the program's own code runs in the midst of a refusal. */
struct smem_kept_error {
    securemem_error error;
    char message[SMEM_MESSAGE_BYTES];
};

void smem_error_keep(struct smem_kept_error *out);
void smem_error_put_back(const struct smem_kept_error *kept);

/* The arena's budget is reached: -ENOMEM. */
int smem_error_budget(size_t needed, size_t budget, size_t in_use);

#endif
