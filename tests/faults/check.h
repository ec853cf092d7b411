/* SPDX-License-Identifier: ISC */
/*
 * What must hold after a call during which the kernel refused something. Each function
 * gives NULL where it does, else a sentence that says what does not. They ask the kernel
 * through code of the tests' own.
 */
#ifndef FAULTS_CHECK_H
#define FAULTS_CHECK_H

#include "faults/stage.h"

/* What a process holds of the kernel's. */
struct holdings {
    size_t locked, mappings, descriptors;
};

void holdings_take(struct holdings *out);

/* The same as before; of mappings there may be more where munmap(2) was refused. */
const char *check_holdings(const struct holdings *before, bool unmap_refused);

/* Leaves a record of EINVAL behind, so that a call that records nothing is found out. */
void check_mark_error(void);

/* The record of the last error says of a refusal what error.h promises. */
const char *check_error(int refused);

/* Whether a record was made since check_mark_error. */
bool check_error_is_new(void);

/*
 * After smaps_read. The secret has its contents and its access; protections that options
 * require hold, of the others securemem_protection says what smaps says, and, where one
 * does not hold, the errno: one of allowed, unless that is 0.
 */
const char *check_secret(const struct expected *secret, securemem_policy policy,
                         securemem_fork fork, int allowed);

/* As check_secret, of every secret on the stage and of the elder ones. */
const char *check_stage(const struct stage *stage, int allowed);

/* After smaps_read: a freed secret has left nothing, or it is held, locked and closed. */
const char *check_freed(const struct expected *secret, bool *held);

/* After smaps_read: protection says the same as smaps; for secrets in forked children. */
const char *check_report(const void *secret, size_t size);

#endif
