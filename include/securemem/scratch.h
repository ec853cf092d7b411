/* SPDX-License-Identifier: ISC */
/*
 * What a computation leaves behind, outside of its secrets: a stack of its own, which is
 * wiped, and registers, which are cleared.
 *
 *      | guard page | stack_size bytes and room for a signal | ... | guard page |
 *                   ^ an overflow faults              begins ^
 *
 * A scratch stack is a secret of the library's (arena.h): locked, guarded, not dumped. A
 * thread keeps one between its calls, wiped, which counts against the lock limit: whole pages
 * of stack_size and a signal's frame, which is as large as the processor's registers are, 72
 * to 80 KiB for the default on x86-64; and as much as the thread's alternate signal stack,
 * where it has one.
 */
#ifndef SECUREMEM_SCRATCH_H
#define SECUREMEM_SCRATCH_H

#include <securemem/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a stack_size of 0 asks for, in bytes. */
#define SECUREMEM_SCRATCH_DEFAULT ((size_t)64 << 10)

/*
 * Calls function(argument) in this thread on a scratch stack of at least stack_size bytes,
 * on which a signal handler finds 4 KiB beside its frame. When function returns, registers
 * are cleared as by securemem_clear_registers, still on that stack, then all that was
 * written to it is wiped: by the time the call returns every byte of it is zero. Calls may
 * nest. In the steady state it takes one system call, which asks for the thread's alternate
 * signal stack, and a look at the whole stack: ask for what the function needs, not more.
 * 0, or, with function not called, -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN.
 *
 * Signals   A handler runs on the scratch stack. Where the thread has an alternate stack
 *           (sigaltstack(2)), handlers with SA_ONSTACK get a locked one of the same size
 *           until the call returns, and find that one where they ask. A handler may not
 *           call this function; on an alternate stack that is -EPERM.
 * Leaving   Function should return. Where it is left by longjmp(3) or by an exception,
 *           which unwinds through it, its stack is wiped at the thread's next scratch call
 *           or trim, or at its end, and registers are not cleared; until then the
 *           alternate stack is the locked one. A function that changes to another stack
 *           of the same thread (swapcontext(3)) may not make a scratch call there.
 * Fork      In a child the stack on which fork(2) was called goes on, locked anew; a child
 *           that is refused this lock ends by SIGSEGV. All other scratch stacks are wiped
 *           there and given back.
 * wipe_all  securemem_wipe_all wipes scratch stacks last, also those in use: threads that
 *           run on one do not survive that. It leaves the one that it is called on.
 * Elsewhere than on x86-64 and aarch64 function runs in a thread of its own while the
 *           caller waits: it has errno and other variables of its own, and a child that is
 *           forked in it must end there.
 */
SECUREMEM_API SECUREMEM_USE_RESULT int
securemem_scratch_call(void (*function)(void *argument), void *argument,
                       size_t stack_size);

/*
 * Gives the stacks that the calling thread keeps back to the kernel and to the lock limit.
 * 0, or what the kernel refused: -ENOMEM, -EPERM, -ENOTSUP, -EAGAIN; what could not be given
 * back stays wiped and protected.
 */
SECUREMEM_API int securemem_scratch_trim(void);

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
