/* SPDX-License-Identifier: ISC */
/* A process that reads a passphrase, at a pseudo-terminal whose other end is the test's. */
#ifndef TEST_READER_H
#define TEST_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define READER_LIMIT  32
#define READER_PROMPT "say it: "
#define READER_LINE   "open sesame"

#define READER_ENDED 3 /* it got a refusal that it expected */

#define READER_TRIES 2000
#define READER_PAUSE 1000 /* microseconds */

struct reader {
    pid_t pid;
    int master;
};

/*
 * Starts act in a session of its own, with the terminal as descriptor 0 and the default
 * action of every signal; it exits with what act returns, and outlives no test.
 */
void reader_start(struct reader *reader, int (*act)(void));

/* fork(2) in an act; that child outlives no test either. */
pid_t reader_fork(void);

bool reader_echoes(const struct reader *reader);
void reader_set_echo(const struct reader *reader, bool echo);

/* Fails where that does not come to be. */
void reader_wait_for_echo(const struct reader *reader, bool echo);
void reader_wait_for_prompts(const struct reader *reader, int count);

void reader_type(const struct reader *reader, const char *text);

/* Its status; what it wrote to its terminal and nobody has read yet goes to shown. */
int reader_end(struct reader *reader, char *shown, size_t size);

/* An act: reads READER_LINE. 0, READER_ENDED, or another number. */
int reader_read_one(void);

#endif
