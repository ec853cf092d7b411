/* SPDX-License-Identifier: ISC */
/* A table of what protects a secret, as the kernel tells it. */
#ifndef SIGN_REPORT_H
#define SIGN_REPORT_H

#include <stdio.h>

/*
 * Prints the table. Reads nothing of the secret itself, so that it works on a closed
 * one. NULL, or why the kernel could not be asked, that the table could not be printed,
 * or that a required protection does not hold.
 */
const char *report_protection(FILE *out, const void *secret);

#endif
