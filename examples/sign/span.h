/* SPDX-License-Identifier: ISC */
/* A stretch of bytes inside a secret that someone else owns: nothing is copied out. */
#ifndef SIGN_SPAN_H
#define SIGN_SPAN_H

#include <stddef.h>

struct span {
    const unsigned char *at;
    size_t size;
};

#endif
