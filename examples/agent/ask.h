/* SPDX-License-Identifier: ISC */
/*
 * A question to the user, put by the program that $SSH_ASKPASS names, ssh-askpass otherwise,
 * as ssh-agent does: $SSH_ASKPASS_PROMPT is "confirm", and yes is to end with 0 after
 * nothing, an empty line, or "yes".
 */
#ifndef AGENT_ASK_H
#define AGENT_ASK_H

#include <stdbool.h>
#include <sys/types.h>

struct ask {
    pid_t pid;  /* 0: nothing is asked */
    int ended;  /* readable when the program has ended; -1 */
    int answer; /* what it writes; -1 */
};

#define ASK_NONE ((struct ask){.ended = -1, .answer = -1})

/*
 * Whether nothing is asked now. One question at a time: who is asked ten times at once does
 * not know what the answer is to.
 */
bool ask_is_free(void);

/* Starts the program. False, with nothing started, where it cannot be. */
bool ask_start(struct ask *ask, const char *question);

/* Once ended is readable: whether it was a yes. All is closed. */
bool ask_finish(struct ask *ask);

/* Nobody waits for the answer any more. */
void ask_cancel(struct ask *ask);

#endif
