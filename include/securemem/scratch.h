/* SPDX-License-Identifier: ISC */
/* What a computation leaves behind, outside of its secrets. */
#ifndef SECUREMEM_SCRATCH_H
#define SECUREMEM_SCRATCH_H

#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Clears every vector and mask register, the x87 and MMX ones, and the general registers
 * that a function need not preserve: where a cipher or memcpy(3) leaves pieces of keys. On
 * x86-64 (SSE, AVX, AVX-512, as the processor has them) and aarch64 (NEON, and with it the
 * low part of SVE); elsewhere it does nothing. 5 to 15 nanoseconds. Async-signal-safe.
 */
SECUREMEM_API void securemem_clear_registers(void);

#ifdef __cplusplus
}
#endif
#endif
