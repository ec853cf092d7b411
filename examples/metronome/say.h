/* SPDX-License-Identifier: ISC */
/*
 * What the program says on standard error, and how its parts tell one another what is
 * wrong.
 *
 * A function that may fail returns NULL, or what is wrong: one sentence without a newline,
 * free of anything that was read from a file or a client. The text is valid until the
 * thread's next failing call; nobody frees it.
 */
#ifndef METRONOME_SAY_H
#define METRONOME_SAY_H

/* Writes one line, "metronome: SUBJECT: WHAT"; control characters appear as '?'. */
void say(const char *subject, const char *what);

#endif
