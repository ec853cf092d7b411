/* SPDX-License-Identifier: ISC */
/*
 * A subject: a process under attack, child of the test.
 *
 * It gets its secrets by read(2) from a pipe, straight into their place, and its parent
 * draws them after the fork: whatever else of them is found in it, it has left there
 * itself. It stops where it says so, tells addresses through a shared page, writes its
 * descriptor 2 to a pipe, and dies with its parent.
 */
#ifndef ATTACK_SUBJECT_H
#define ATTACK_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "attacks/attack.h"

#define TOLD_MOST 32U

struct told {
    const void *address;
    size_t length;
};

struct subject_page {
    size_t count;
    struct told told[TOLD_MOST];
};

struct subject {
    pid_t pid;
    bool traced;
    int memory;  /* /proc/PID/mem */
    int secrets; /* what it receives */
    int words;   /* what it writes to descriptor 2 */
    int status;  /* of the last waitpid */
    int stop;    /* the signal that stopped it; 0 once it ended */
    struct subject_page *page;
};

/*
 * Starts body(argument) in a child and waits until it stands at its first line. False,
 * with nothing started, where traced is asked for and ptrace(2) is forbidden.
 */
bool subject_start(struct subject *subject, bool traced, void (*body)(const void *),
                   const void *argument);

/* Sends a secret to the subject, or a marker as many times as there are copies. */
void subject_send(const struct subject *subject, const void *secret, size_t length);
void subject_send_copies(const struct subject *subject,
                         const unsigned char marker[MARKER_BYTES]);

/* Lets it run to its next stop, or end; a signal that stopped it is delivered to it. */
void subject_run(struct subject *subject);

/* As subject_run, for a traced one, but stops at each entry and exit of a system call. */
void subject_step_syscall(struct subject *subject);

/* Copies from its memory; the number of bytes that could be read. */
size_t subject_peek(const struct subject *subject, const void *address, void *out,
                    size_t length);

/* The copies of a marker in length bytes of it at address. */
size_t subject_copies(const struct subject *subject,
                      const unsigned char marker[MARKER_BYTES], const void *address,
                      size_t length);

/* Ends it if it still is, closes all; its descriptor 2 goes to words, if not NULL. */
void subject_end(struct subject *subject, char *words, size_t size);

/* In the subject: */
void subject_receive(void *place, size_t length);
void subject_receive_copies(void *pages);
int subject_descriptor(void); /* what it receives from */
void subject_tell(const void *address, size_t length);
void subject_tell_no_more(void);
void subject_pause(void);

/*
 * A pause that runs no code of the C library, which would change the registers and the
 * stack before they are looked at.
 */
#if defined(__x86_64__)
#define SUBJECT_FREEZE() __asm__ volatile("int3" : : : "memory")
#else
#define SUBJECT_FREEZE() subject_pause()
#endif

#endif
