/* SPDX-License-Identifier: ISC */
/*
 * What a fuzzed target has. libFuzzer calls it, or driver.c, which plays the same inputs
 * each time: rows of seeds, changed by a generator of fixed seed.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes a part of an input that is as it should be; gives its size. */
size_t fuzz_seed(size_t which, uint8_t *out, size_t room);

#endif
