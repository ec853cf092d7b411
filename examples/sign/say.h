/* SPDX-License-Identifier: ISC */
/*
 * What the program says on standard error, and how its parts tell one another what is
 * wrong.
 *
 * A function that may fail returns NULL, or what is wrong with its file: one sentence
 * without a newline, free of anything that was read from the file. The text is valid
 * until the thread's next failing call; nobody frees it.
 */
#ifndef SIGN_SAY_H
#define SIGN_SAY_H

/* Writes one line, "sign: PATH: WHAT"; control characters of the path appear as '?'. */
void say(const char *path, const char *what);

#endif
